#!/bin/sh
# Runs after an installation and an upgrade, also where no systemd runs or is there: in the build
# of an image, in a chroot.
set -e

if command -v systemd-sysusers >/dev/null 2>&1; then
	systemd-sysusers longshore.conf || true # what it made is looked at below
fi
if ! getent group longshore >/dev/null 2>&1 && command -v groupadd >/dev/null 2>&1; then
	groupadd --system longshore
fi
if ! getent passwd longshore >/dev/null 2>&1 && command -v useradd >/dev/null 2>&1; then
	useradd --system --gid longshore --home-dir /var/lib/longshore --no-create-home \
		--shell /usr/sbin/nologin longshore
	for group in adm systemd-journal; do
		if getent group "$group" >/dev/null 2>&1; then
			usermod --append --groups "$group" longshore
		fi
	done
fi

mkdir -p /var/lib/longshore
if getent passwd longshore >/dev/null 2>&1; then
	chown longshore:longshore /var/lib/longshore
	chgrp longshore /etc/longshore
	if [ -e /etc/longshore/longshore.yml ]; then
		chgrp longshore /etc/longshore/longshore.yml
	fi
fi
chmod 0750 /var/lib/longshore /etc/longshore

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
	systemctl try-restart longshore.service || true # an upgrade; the journal says why it failed
fi

# $2 is the version before (deb), $1 is how many are installed (rpm).
if [ "$1" = 1 ] || { [ "$1" = configure ] && [ -z "$2" ]; }; then
	echo "Longshore is installed and not started. Edit /etc/longshore/longshore.yml, then:"
	echo "    systemctl enable --now longshore"
fi
