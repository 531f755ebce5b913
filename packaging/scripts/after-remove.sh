#!/bin/sh
# Runs after a removal and a purge. The config and what the agent has in /var/lib/longshore go with
# a purge alone: there may be logs that are delivered nowhere else yet. The user stays, as its files
# elsewhere would become those of the next one.
set -e

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
if [ "$1" = purge ]; then
	rm -rf /var/lib/longshore /etc/longshore
fi
