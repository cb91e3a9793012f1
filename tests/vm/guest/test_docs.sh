# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# docs/kernel.md: the commands of each of its walks, as they stand.

# commands HEADING [KIND]: the blocks below it, as a file
commands() {
	awk -v heading="## $1" -v kind="\`\`\`${2:-sh}" '
		/^## / { here = $0 == heading }
		/^```$/ { inside = 0 }
		inside { print }
		here && $0 == kind { inside = 1 }' docs/kernel.md >/tmp/work/commands
	[ -s /tmp/work/commands ]
}

# walk: each command has to succeed; prints what they print
walk() {
	cat /tmp/work/commands
	PATH=/tmp/in:/tmp/in/configfs:$PATH bash -e /tmp/work/commands >/tmp/work/printed 2>&1 ||
		{ cat /tmp/work/printed; return 1; }
	cat /tmp/work/printed
}

begin() {
	kernel_target
	mkdir -p /srv /etc/duotgt /tmp/work
	mount -t tmpfs srv /srv
}

finish() {
	umount -l /srv # a daemon keeps the storages open that its configuration names
	[ -z "$(ls -d $configfs/core/user_*/* 2>/dev/null)" ]
}

# walk_with_runner HEADING PRINTED: what is below it, with tcmu-runner there and a storage "data"
walk_with_runner() {
	begin
	storage_config $((64 << 20))
	cp $config /etc/duotgt/duotgt.json
	runner_up
	commands "$1"
	walk
	grep -q "$2" /tmp/work/printed
	finish
}

test_targetcli() { # at most 240 s
	walk_with_runner 'A disk by targetcli' 'DUOTGT .*/dev/sd'
}

test_script() { # at most 180 s
	walk_with_runner 'The script' 'loopback, /dev/sd'
}

test_consumer() { # at most 120 s
	begin
	commands 'Without tcmu-runner' json
	cp /tmp/work/commands /etc/duotgt/duotgt.json
	daemon_up /etc/duotgt/duotgt.json 0
	commands 'Without tcmu-runner'
	walk
	grep -q '"fabric": "loopback", "disk": "/dev/sd' /tmp/work/printed
	finish
}
