# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# tcmu-runner with our plug-in, set up by duotgt-lio: the storage is open in its process, or in the
# daemon that it hands the device to.

# in_process / in_daemon: who has the storage open
in_process() {
	kernel_target
	storage_config $((64 << 20))
	runner_up
}
in_daemon() {
	kernel_target
	storage_config $((64 << 20))
	daemon_up $config
	runner_up
}

test_loopback_in_process() { # at most 120 s
	in_process
	check_loopback
}

test_loopback_in_daemon() { # at most 120 s
	in_daemon
	check_loopback
}

test_lio_iscsi_in_daemon() { # at most 120 s
	in_daemon
	check_lio_iscsi
}

test_reset() { # at most 90 s
	in_daemon
	check_reset
}

test_removal() { # at most 90 s
	in_daemon
	check_removal
}

# The three by turns; twenty rounds in all.
something_dies() {
	case $((round % 3)) in
	0) kill_program daemon && daemon_up $config ;;
	1) kill_program runner && runner_start ;;
	2) kill_program daemon && kill_program runner && daemon_up $config && runner_start ;;
	esac
}

test_kills() { # at most 400 s
	in_daemon
	check_kills 20 something_dies
}

# What targetcli keeps, and what the script makes beside it.
test_targetctl() { # at most 200 s
	local disk

	in_daemon
	lio attach data
	disk=$(loop_disk)
	write_read_compare "$disk" 4
	targetctl save /tmp/work/saved.json
	lio save --file /tmp/work/saved
	targetctl clear
	[ "$(lio status --json | tr -d ' \n')" = '{"storages":[]}' ]
	targetctl restore /tmp/work/saved.json 2>&1 | tee /tmp/work/restored
	[ "$(grep -c skipped /tmp/work/restored)" = 0 ]
	lio status
	[ -n "$(lio status | grep 'loopback, /dev/sd')" ]
	lio clear
	lio restore --file /tmp/work/saved
	disk=$(lio status | sed -n 's/.*loopback, \(\/dev\/sd[a-z]*\)$/\1/p')
	wait_for 10 test -b "$disk"
	dd if="$disk" bs=256k count=16 iflag=direct status=none | cmp - /tmp/work/pattern
	lio detach data
}
