#!/bin/sh
# Runs before a removal, and before an upgrade, over which the agent runs on.
set -e

case "$1" in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl disable --now longshore.service || true
	else
		rm -f /etc/systemd/system/multi-user.target.wants/longshore.service
	fi
	;;
esac
