# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# The way back: exports, backstore, and what has become empty by that.

detach() {
	device=$(find_device "$1") || die 3 "$1: is not attached (duotgt-lio status)"
	detach_device "$device"
}

detach_device() {
	name=${1##*/}
	for link in $(exports "$1"); do
		refuse_foreign "$link"
		[ "$force" = yes ] || refuse_used "$link"
	done
	for link in $(exports "$1"); do
		remove_export "$link"
	done
	remove_folder "$1"
	# Another device may be in it, if somebody else made it so.
	rmdir "${1%/*}" 2>/dev/null || true
	echo "$name: detached"
}

# Fabrics that this script does not know how to undo.
refuse_foreign() {
	case $1 in
	"$target"/loopback/* | "$target"/iscsi/*) ;;
	*) die 4 "$name: is exported by ${1#"$target"/} (remove it where it was made, as with \
targetcli)" ;;
	esac
}

refuse_used() {
	case $1 in
	"$target"/loopback/*)
		user=$(loopback_user "${1%/*}") || return 0
		;;
	*)
		user=$(sessions_of "${1%/lun/*}" | tr '\n' ' ')
		[ -n "$user" ] || return 0
		user="logged in: ${user% }"
		;;
	esac
	die 4 "$name: in use: $user (--force does it all the same)"
}

remove_export() {
	lun=${1%/*}
	for link in "${lun%/lun/*}/acls"/*/"${lun##*/}"/*; do
		[ ! -L "$link" ] || remove_link "$link"
	done
	remove_link "$1"
	case $lun in
	"$target"/loopback/*) remove_loopback "$lun" ;;
	*) remove_iscsi "$lun" ;;
	esac
}

# The first that is in use ends it, before anything was touched.
clear_all() {
	[ "$force" = yes ] || for device in $(devices); do
		name=${device##*/}
		for link in $(exports "$device"); do
			refuse_foreign "$link"
			refuse_used "$link"
		done
	done
	for device in $(devices); do
		detach_device "$device"
	done
}
