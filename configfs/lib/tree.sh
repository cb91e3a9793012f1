# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# Steps in configfs. Each that changes something notes how to undo it; when a later one fails, what
# was begun is undone in reverse order, and the tree is as it was.

undo=''

complain() { echo "duotgt: $*" >&2; }

# die CODE "WHAT: WHY (HINT)"
die() {
	complain "$2"
	take_back
	exit "$1"
}

take_back() {
	while [ -n "$undo" ]; do
		step=${undo%%"$lf"*}
		undo=${undo#*"$lf"}
		eval "$step" 2>/dev/null || complain "could not be undone: $step"
	done
}

interrupted() {
	trap '' INT TERM HUP
	withdraw
	die 1 'interrupted: what was begun is undone'
}
trap interrupted INT TERM HUP

# will_undo COMMAND PATH [ARGUMENT]
will_undo() { undo="$1 '$2'${3+ '$3'}$lf$undo"; }

# done_with: what was done so far stays
done_with() { undo=''; }

# of_error TEXT: the exit code that a tool's message asks for
of_error() {
	case $1 in
	*'ermission denied'* | *'not permitted'*) echo 5 ;;
	*'busy'* | *'File exists'* | *'not empty'*) echo 4 ;;
	*) echo 1 ;;
	esac
}

# why TEXT: the last part of a tool's message, which is the system's
why() { printf '%s\n' "$1" | sed -n '$s/.*: //p'; }

# make_folder PATH
make_folder() {
	[ ! -d "$1" ] || return 0
	said=$(mkdir "$1" 2>&1) || die "$(of_error "$said")" "$1: $(why "$said")"
	will_undo rmdir "$1"
}

# put VALUE FILE: an attribute takes its value in one write, and no file is made
put() { printf '%s' "$1" | dd of="$2" bs=4096 conv=nocreat,notrunc status=none; }

# set_value VALUE FILE [HINT]
set_value() {
	said=$(put "$1" "$2" 2>&1) ||
		die "$(of_error "$said")" "$2: does not take $1: $(why "$said")${3:+ ($3)}"
}

# change_value VALUE FILE: as set_value, but undone; nothing when it has it
change_value() {
	old=$(cat "$2" 2>/dev/null)
	[ "$old" != "$1" ] || return 0
	set_value "$1" "$2"
	will_undo put_back "$2" "$old"
}
put_back() { put "$2" "$1"; }

# link_to TARGET PATH
link_to() {
	[ ! -L "$2" ] || return 0
	said=$(ln -s "$1" "$2" 2>&1) || die "$(of_error "$said")" "$2: $(why "$said")"
	will_undo unlink_path "$2"
}
unlink_path() { rm "$1"; }

# remove_folder PATH / remove_link PATH: for good
remove_folder() {
	[ -d "$1" ] || return 0
	said=$(rmdir "$1" 2>&1) || die "$(of_error "$said")" "$1: $(why "$said")"
}
remove_link() {
	said=$(rm "$1" 2>&1) || die "$(of_error "$said")" "$1: $(why "$said")"
}

# leads_to LINK DEVICE: whether the symbolic link of configfs does
leads_to() { [ "$(readlink -f "$1")" = "$(readlink -f "$2")" ]; }

# need_module NAME FOLDER: loaded, which FOLDER below the target's proves
need_module() {
	[ -d "$root/sys/kernel/config" ] ||
		die 1 "configfs: not there (modprobe configfs && mount -t configfs configfs /sys/kernel/config)"
	[ -d "$2" ] && return
	modprobe "$1" 2>/dev/null || true
	if [ ! -d "$2" ] && [ -d "$target" ]; then
		mkdir "$2" 2>/dev/null || true
	fi
	[ -d "$2" ] || die "$([ "$(id -u)" = 0 ] && echo 1 || echo 5)" \
		"$2: not there, and $1 cannot be loaded (see duotgt-lio doctor)"
}

# One change at a time. Held until this process has ended.
locked() {
	mkdir -p "$root/run/lock" 2>/dev/null || true
	# A redirection of exec that fails would end the shell without a word.
	(: >"$root/run/lock/duotgt-lio") 2>/dev/null ||
		die 5 "$root/run/lock/duotgt-lio: cannot be made (run it as root)"
	exec 9>"$root/run/lock/duotgt-lio"
	flock -w "$wait_s" 9 || die 4 'another duotgt-lio is at work (see --wait)'
}

# wait_until COMMAND...: at most wait_s seconds
wait_until() {
	left=$((wait_s * 5))
	until "$@"; do
		[ $left -gt 0 ] || return 1
		left=$((left - 1))
		sleep 0.2
	done
}
