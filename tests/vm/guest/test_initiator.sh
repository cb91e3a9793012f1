# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The kernel's initiator against our own portal: no kernel target takes part.

iqn=iqn.2026-11.io.duotgt.test:portal
first=127.0.0.1:3260
second=127.0.0.2:3260

# two_portals: a file of 96 MiB on two portals; $chap_file, if any, is their target's
two_portals() {
	local more=''

	[ -z "${chap_file:-}" ] || more=", \"chapFile\": \"$chap_file\""
	mkdir -p /tmp/work
	cat >/tmp/work/duotgt.json <<-TEXT
	{"storages": [{"deviceID": 1, "path": "/tmp/work/disk.img", "deviceSize": 100663296,
	               "thinProvisioning": true}],
	 "iscsiportals": [{"id": 1, "portal": "$first"}, {"id": 2, "portal": "$second"}],
	 "iscsitargets": {"$iqn": {"tpgts": {"1": [1], "2": [2]}, "luns": {"0": 1}
	                           $more}}}
	TEXT
	daemon_up /tmp/work/duotgt.json 2
}

test_discovery() { # at most 60 s
	two_portals
	initiator_up
	iscsiadm -m discovery -t sendtargets -p $first >/tmp/work/found
	cat /tmp/work/found
	grep -q "^$first,1 $iqn\$" /tmp/work/found
	grep -q "^$second,2 $iqn\$" /tmp/work/found
}

test_file_system() { # at most 120 s
	local disk

	two_portals
	initiator_up
	node $iqn $first
	disk=$(login $iqn $first)
	write_read_compare "$disk" 16
	file_system "$disk"
	logout $iqn $first
	wait_for 10 test ! -e "$disk"
	no_io_errors
}

test_digests() { # at most 120 s
	local disk

	two_portals
	initiator_up
	node $iqn $first 'node.conn[0].iscsi.HeaderDigest=CRC32C' 'node.conn[0].iscsi.DataDigest=CRC32C'
	disk=$(login $iqn $first)
	[ "$(negotiated $iqn $first header_digest)" = 1 ]
	[ "$(negotiated $iqn $first data_digest)" = 1 ]
	write_read_compare "$disk" 16
	file_system "$disk"
	logout $iqn $first
	no_io_errors
}

test_chap() { # at most 180 s
	local disk auth=node.session.auth
	local proof=("$auth.authmethod=CHAP" "$auth.username=host" "$auth.password=0123456789abcdef")

	mkdir -p /tmp/work
	(umask 077 && printf 'host 0123456789abcdef\ndisk fedcba9876543210\n' >/tmp/work/chap)
	chap_file=/tmp/work/chap two_portals
	initiator_up
	node $iqn $first "${proof[@]}" "$auth.password=0123456789abcdeF"
	! login $iqn $first 2>/tmp/work/refusal || { say 'logged in with a wrong password'; return 1; }
	cat /tmp/work/refusal
	grep -q 'authorization failure' /tmp/work/refusal
	iscsiadm -m node -T $iqn -p $first -o delete
	# Both ways, by the hash that it has last and by the one that it likes best.
	node $iqn $first "${proof[@]}" "$auth.username_in=disk" \
		"$auth.password_in=fedcba9876543210" "$auth.chap_algs=MD5"
	disk=$(login $iqn $first)
	node $iqn $second "${proof[@]}" "$auth.username_in=disk" \
		"$auth.password_in=fedcba9876543210" "$auth.chap_algs=SHA3-256,SHA256,SHA1,MD5"
	login $iqn $second
	write_read_compare "$disk" 16
	logout $iqn $first
	logout $iqn $second
	no_io_errors
}

# The daemon dies with commands under way and data of a mounted file system acknowledged.
test_reinstatement() { # at most 180 s
	local disk writer tries

	two_portals
	initiator_up
	node $iqn $first
	disk=$(login $iqn $first)
	mkfs.ext4 -q -F "$disk"
	mkdir -p /mnt/fs
	mount "$disk" /mnt/fs
	pattern /tmp/work/pattern 8
	( for i in 1 2 3 4 5 6; do
		cp /tmp/work/pattern /mnt/fs/$i && sync -f /mnt/fs/$i || exit 1
	done ) &
	writer=$!
	for tries in 1 2 3; do
		sleep 1
		kill_program daemon
		say "killed, round $tries"
		two_portals
	done
	wait $writer
	for tries in 1 2 3 4 5 6; do
		cmp /tmp/work/pattern /mnt/fs/$tries
	done
	umount /mnt/fs
	e2fsck -fn "$disk"
	[ "$(negotiated $iqn $first state)" = LOGGED_IN ]
	logout $iqn $first
	no_io_errors
}

test_multipath() { # at most 180 s
	local disk other map writer

	two_portals
	initiator_up
	multipath_up
	node $iqn $first node.session.timeo.replacement_timeout=2
	node $iqn $second node.session.timeo.replacement_timeout=2
	disk=$(login $iqn $first)
	other=$(login $iqn $second)
	wait_for 20 both_paths "$disk" "$other"
	map=$(map_of "$disk")
	multipath -ll
	write_read_compare "$map" 8
	mkfs.ext4 -q -F "$map"
	mkdir -p /mnt/fs
	mount "$map" /mnt/fs
	( for i in 1 2 3 4 5 6; do
		cp /tmp/work/pattern /mnt/fs/$i && sync -f /mnt/fs/$i && sleep 0.5 || exit 1
	done ) &
	writer=$!
	cut_portal $second
	wait_for 40 path_is "$other" failed
	say "the path is seen to be cut"
	wait $writer
	mend_portal $second
	wait_for 60 path_is "$other" active
	say "and to be back"
	for i in 1 2 3 4 5 6; do
		cmp /tmp/work/pattern /mnt/fs/$i
	done
	umount /mnt/fs
	e2fsck -fn "$map"
	multipath -F
	logout $iqn $first
	logout $iqn $second
}
