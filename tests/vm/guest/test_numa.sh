# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Buffers on a machine with two nodes, a processor on each, and a disk that is attached to node 1.
# User-mode Linux has one node.

near=iqn.2026-11.io.duotgt.test:near
far=iqn.2026-11.io.duotgt.test:far
portal=127.0.0.1:3260

# disk_named SERIAL: its name, without /dev
disk_named() {
	local path

	path=$(grep -lx "$1" /sys/block/*/serial) && path=${path%/serial} && echo "${path##*/}"
}

# placement: "NODE nPAGES..." for each piece of memory that is wished to be on a node
placement() {
	sed -n -E 's/^[0-9a-f]+ prefer(=[a-z]+)?[:=]([0-9]+).*anon=[^N]*((N[0-9]+=[0-9]+ ?)+).*/\2 \3/p' \
		"/proc/$(pid_of daemon)/numa_maps"
}

# report: the daemon's lines about both pools
report() {
	local before

	before=$(wc -l </run/test/daemon.log)
	kill -USR1 "$(pid_of daemon)"
	wait_for 10 reported "$before" && reported "$before"
}
reported() { [ "$(lines_after "$1" | wc -l)" -eq 2 ] && lines_after "$1"; }
lines_after() { tail -n +$(($1 + 1)) /run/test/daemon.log | grep ' buffers: node '; }

# remote NODE: buffers of the node that other nodes' threads were handed out
remote() { report | sed -n -E "s/.*node $1: .* ([0-9]+) remote.*/\1/p"; }
local_gets() { report | sed -n -E "s/.*node $1: .* ([0-9]+) local.*/\1/p"; }

test_placement() { # at most 120 s
	local disk

	[ -e /sys/devices/system/node/node1 ] || skip "this kernel has one node"
	[ "$(nproc)" -ge 2 ] || skip "there is one processor"
	disk=$(disk_named far) || skip "no disk is attached to node 1"
	mkdir -p /tmp/work
	cat >/tmp/work/duotgt.json <<-TEXT
	{"storages": [{"deviceID": 1, "path": "ram:32M", "enableNUMA": true, "numaNode": 0},
	              {"deviceID": 2, "path": "block:/dev/$disk", "enableNUMA": true}],
	 "iscsiportals": [{"id": 1, "portal": "$portal"}],
	 "performance": {"reactors": 2},
	 "iscsitargets": {"$near": {"tpgts": {"1": [1]}, "luns": {"0": 1}},
	                  "$far": {"tpgts": {"1": [1]}, "luns": {"0": 2}}}}
	TEXT
	daemon_up /tmp/work/duotgt.json 2
	initiator_up
	node $near $portal
	node $far $portal

	# The first session is served by the first processor, on node 0, the second on node 1.
	write_read_compare "$(login $near $portal)" 16
	write_read_compare "$(login $far $portal)" 16
	report
	[ "$(local_gets 0)" -gt 0 ]
	[ "$(local_gets 1)" -gt 0 ]
	[ "$(remote 0)" -eq 0 ]
	[ "$(remote 1)" -eq 0 ]
	placement
	placement | grep '^0 .*N0=' >/dev/null
	placement | grep '^1 .*N1=' >/dev/null
	# shellcheck disable=SC2143 # a "!" would not end the test
	[ -z "$(placement | grep -E '^0 .*N1=|^1 .*N0=')" ]

	# The other way round: data is where its disk is, and that is told.
	logout $near $portal
	logout $far $portal
	node $far $portal
	write_read_compare "$(login $far $portal)" 4
	report
	[ "$(remote 1)" -gt 0 ]
	[ "$(remote 0)" -eq 0 ]
	logout $far $portal
}
