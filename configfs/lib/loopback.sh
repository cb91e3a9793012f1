# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# Exports, and that which makes a storage a disk of this host.

# exports DEVICE: the links of LUNs that lead to it, one a line
exports() {
	for link in "$target"/*/*/tpgt_*/lun/lun_*/*; do
		[ -L "$link" ] && leads_to "$link" "$1" && echo "$link"
	done
}

export_storage() {
	if [ -n "$loopback" ] && [ -z "$iqn" ]; then
		[ -z "$portals$acls$chap_file" ] ||
			bad_usage 'export: --portal, --acl and --chap-file belong to --iscsi'
	elif [ -z "$iqn" ] || [ -n "$loopback" ]; then
		bad_usage 'export: one of --loopback and --iscsi IQN'
	fi
	device=$(find_device "$1") ||
		die 3 "$1: is not attached (duotgt-lio attach $1)"
	is_enabled "$device" || die 1 "$1: its backstore is half made (duotgt-lio attach $1)"
	name=${device##*/}
	if [ -n "$loopback" ]; then
		export_loopback "$device"
	else
		export_iscsi "$device"
	fi
	done_with
}

# exported_in FABRIC DEVICE: the first folder of a LUN that leads to it
exported_in() {
	for link in $(exports "$2"); do
		case $link in
		"$target/$1"/*) dirname "$link"; return ;;
		esac
	done
	return 1
}

# loopback_name DEVICE: of the target port, made from the serial number, so that it stays the same
loopback_name() {
	echo "naa.5001405$(sed 's/.*: *//' "$1/wwn/vpd_unit_serial" | tr -cd '0-9a-f' |
		sed 's/^\(.\{8\}\).*/\1/')"
}

export_loopback() {
	need_module tcm_loop "$target/loopback"
	if lun=$(exported_in loopback "$1"); then
		echo "$name: is exported, loopback$(disk_note "$lun")"
		return
	fi
	port=$(loopback_name "$1")
	[ ${#port} -eq 19 ] || die 1 "$1/wwn/vpd_unit_serial: is no serial number of ours"
	tpg=$target/loopback/${port}0/tpgt_1
	make_folder "${tpg%/*}"
	make_folder "$tpg"
	set_value "${port}1" "$tpg/nexus"
	make_folder "$tpg/lun/lun_0"
	link_to "$1" "$tpg/lun/lun_0/$name"
	wait_until disk_of "$tpg/lun/lun_0" >/dev/null ||
		die 1 "$name: no disk has appeared (dmesg)"
	echo "$name: exported, loopback$(disk_note "$tpg/lun/lun_0")"
}

# disk_of LUN: its name in /sys/block
disk_of() {
	address=$(cat "${1%/lun/*}/address" 2>/dev/null) || return
	for disk in "$root/sys/class/scsi_device/$address:${1##*/lun_}"/device/block/*; do
		[ -e "$disk" ] || return
		echo "${disk##*/}"
	done
}

disk_note() {
	disk=$(disk_of "$1") && echo ", /dev/$disk"
}

# loopback_user LUN: who uses the disk; fails when nobody does
loopback_user() {
	disk=$(disk_of "$1") || return
	while read -r mounted where _; do
		case $mounted in
		"/dev/$disk" | "/dev/$disk"[0-9]*) echo "/dev/$disk is mounted on $where"; return ;;
		esac
	done <"$root/proc/mounts"
	for holder in "$root/sys/block/$disk"/holders/* "$root/sys/block/$disk/$disk"*/holders/*; do
		[ -e "$holder" ] || continue
		echo "/dev/$disk is part of ${holder##*/}"
		return
	done
	while read -r swapped _; do
		case $swapped in
		"/dev/$disk" | "/dev/$disk"[0-9]*) echo "/dev/$disk is swap"; return ;;
		esac
	done <"$root/proc/swaps"
	return 1
}

remove_loopback() { # LUN, its link removed
	tpg=${1%/lun/*}
	remove_folder "$1"
	for lun in "$tpg"/lun/lun_*; do
		[ -d "$lun" ] && return
	done
	remove_folder "$tpg"
	remove_folder "${tpg%/*}"
}
