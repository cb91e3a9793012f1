# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The daemon serves the kernel's target by itself: no tcmu-runner is there.

more='"tcmu": {}'

serve() { daemon_up $config; }

begin() {
	kernel_target
	storage_config $((64 << 20)) "$more"
	serve
}

test_loopback() { # at most 120 s
	begin
	check_loopback
}

test_lio_iscsi() { # at most 120 s
	begin
	check_lio_iscsi
}

test_resize() { # at most 60 s
	begin
	check_resize kill -HUP "$(pid_of daemon)"
}

test_reset() { # at most 90 s
	begin
	check_reset
}

test_removal() { # at most 90 s
	begin
	check_removal
}

again() {
	kill_program daemon
	serve
}

test_kills() { # at most 400 s
	begin
	check_kills 20 again
}

# "data" is LUN 0 of our own portal as well, on reactors of their own.
both_front_ends() {
	kernel_target
	storage_config $((64 << 20)) "$more, \"performance\": {\"reactors\": 2}"
	sed -i 's/"name": "data",/& "bothFrontEnds": true,/; s/"luns": {"0": 2}/"luns": {"0": 1}/' $config
	serve
	lio attach data
	[ "$(cat $configfs/core/user_*/data/attrib/emulate_pr)" = 0 ]
}

# Who counts up by COMPARE AND WRITE through either, meets the other, and loses nothing.
test_compare_and_write() { # at most 120 s
	local disk

	both_front_ends
	disk=$(loop_disk)
	./caw_load $own_iqn 8 4 400 $own_portal "$disk" | tee /tmp/work/counted
	[ "$(sed 's/.* counted, \([0-9]*\) lost.*/\1/' /tmp/work/counted)" -gt 0 ]
	lio detach data
	no_io_errors
}

# One way by our own portal, one by the kernel's: one disk, for they name it alike.
test_multipath() { # at most 180 s
	local own kernel map writer

	both_front_ends
	initiator_up
	multipath_up
	node $own_iqn $own_portal node.session.timeo.replacement_timeout=2
	own=$(login $own_iqn $own_portal)
	lio export data --iscsi $lio_iqn --portal 127.0.0.2:3261
	node $lio_iqn 127.0.0.2:3261 node.session.timeo.replacement_timeout=2
	kernel=$(login $lio_iqn 127.0.0.2:3261)
	wait_for 20 both_paths "$own" "$kernel"
	map=$(map_of "$own")
	multipath -ll
	write_read_compare "$map" 8
	dd if="$own" bs=256k count=32 iflag=direct status=none | cmp - /tmp/work/pattern
	dd if="$kernel" bs=256k count=32 iflag=direct status=none | cmp - /tmp/work/pattern
	./vm_load verify "$map" 4 20 &
	writer=$!
	cut_portal 127.0.0.2:3261
	wait_for 40 path_is "$kernel" failed
	mend_portal 127.0.0.2:3261
	wait_for 60 path_is "$kernel" active
	wait $writer
	multipath -F
	logout $lio_iqn 127.0.0.2:3261
	logout $own_iqn $own_portal
	lio detach data
}

# The same questions to the same storage, by our own portal and through the kernel.
test_cdbs() { # at most 300 s
	local disk generic

	kernel_target
	initiator_up
	storage_config $((64 << 20))
	sed -i 's/"name": "data",/& "uuid": "01234567-89ab-4def-8123-456789abcdef",/; s/"luns": {"0": 2}/"luns": {"0": 1}/' $config
	serve
	node $own_iqn $own_portal
	disk=$(login $own_iqn $own_portal)
	generic=/dev/$(ls "/sys/block/${disk##*/}/device/scsi_generic")
	python3 guest/cdbs.py ask "$generic" /tmp/work/own
	logout $own_iqn $own_portal
	stop_program daemon
	rm -rf $image /run/test/state
	sed -i 's/"luns": {"0": 1}/"luns": {"0": 2}/; s/^ "iscsiportals"/ "tcmu": {},&/' $config
	serve
	lio attach data
	disk=$(loop_disk)
	generic=/dev/$(ls "/sys/block/${disk##*/}/device/scsi_generic")
	python3 guest/cdbs.py ask "$generic" /tmp/work/kernel
	lio detach data
	cp /tmp/work/own /tmp/work/kernel /share/results/
	python3 guest/cdbs.py compare /tmp/work/own /tmp/work/kernel
}
