# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What all tests in the guest lean on. A function prints its result and returns a status.

say() { echo "[$(cut -d' ' -f1 /proc/uptime)] $*"; }
fail() { say "$*"; return 1; }

# skip WHY: this test cannot be run here
skip() { echo "$*"; exit 77; }

# unchecked WHAT: the test goes on, but did not look at this
unchecked() { echo "$*" >>"$notes"; }

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
	local until=$((SECONDS + $1))

	shift
	while ! "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $until ] || { say "in vain waited for: $*"; return 1; }
		sleep 0.1
	done
}

# modules NAME...: loads them, or skips the test
modules() {
	local name

	for name; do
		modprobe "$name" 2>/dev/null || skip "the kernel has no $name"
	done
}

# start NAME COMMAND...: in the background; output in /run/test/NAME.log. In a session of its own: the
# end of a test that takes too long is not to take from the kernel who serves it.
start() {
	local name=$1

	shift
	mkdir -p /run/test
	setsid "$@" >>"/run/test/$name.log" 2>&1 </dev/null &
	echo $! >"/run/test/$name.pid"
}

pid_of() { cat "/run/test/$1.pid"; }

# kill_program NAME: kill -9, and gone when this returns
kill_program() {
	kill -9 "$(pid_of "$1")"
	wait_for 10 gone "$(pid_of "$1")"
	rm "/run/test/$1.pid"
}

# stop_program NAME: SIGTERM, and gone when this returns
stop_program() {
	kill "$(pid_of "$1")"
	wait_for 20 gone "$(pid_of "$1")"
	rm "/run/test/$1.pid"
}

# A zombie whose parent has not looked yet is gone too.
gone() { ! grep -qs '^State:[^Z]*$' "/proc/$1/status"; }

# end_program FILE: of cleanup; by whatever means
end_program() {
	local pid

	pid=$(cat "$1")
	rm -f "$1"
	kill "$pid" 2>/dev/null
	wait_for 10 gone "$pid" && return
	kill -9 "$pid" 2>/dev/null
	wait_for 5 gone "$pid"
}

# pattern FILE MIB
pattern() { head -c $(($2 << 20)) /dev/urandom >"$1"; }

# write_read_compare DEVICE MIB: around the page cache; leaves the pattern in /tmp/work/pattern
write_read_compare() {
	mkdir -p /tmp/work
	pattern /tmp/work/pattern "$2"
	dd if=/tmp/work/pattern of="$1" bs=256k oflag=direct conv=fsync status=none || return
	dd if="$1" bs=256k count=$(($2 * 4)) iflag=direct status=none | cmp - /tmp/work/pattern
}

# file_system DEVICE: made, filled, unmounted, checked, mounted again, compared
file_system() {
	local mount=/mnt/fs

	mkdir -p $mount /tmp/work
	[ -e /tmp/work/pattern ] || pattern /tmp/work/pattern 4
	timeout 60 mkfs.ext4 -q -F "$1" || return
	mount "$1" $mount || return
	cp /tmp/work/pattern $mount/pattern || return
	tar -C /usr/bin -cf $mount/some.tar bash sort || return
	umount $mount || return
	e2fsck -fn "$1" >/tmp/work/fsck.log 2>&1 || { cat /tmp/work/fsck.log; return 1; }
	mount -o ro "$1" $mount || return
	cmp /tmp/work/pattern $mount/pattern || return
	tar -C /usr/bin -df $mount/some.tar || return
	umount $mount
}

# The kernel's complaints about a disk that a test promised not to cause.
no_io_errors() {
	! dmesg | grep -E 'I/O error|Medium Error|critical .* error|rejecting I/O|Aborting journal'
}
