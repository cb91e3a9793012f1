# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
# Backstores: core/user_N/NAME, with what the storage says of itself.

# ask_facts STORAGE: sets the variables that `duotgt storage` prints a line for each
ask_facts() {
	name='' dev_config='' size='' block_size='' max_sectors='' write_cache='' serial=''
	server='' reservations='' cmd_time_out='' max_data_area_mb=''
	facts=$(duotgt storage --config "$config" "$1") || exit
	while read -r key value; do
		case $key in
		name | dev_config | size | block_size | max_sectors | write_cache | serial | \
			server | reservations | cmd_time_out | max_data_area_mb)
			eval "$key=\$value"
			;;
		esac
	done <<-TEXT
	$facts
	TEXT
	[ -n "$name" ] && [ -n "$dev_config" ] || die 1 "duotgt storage: says nothing of $1"
}

# devices: the folders of all backstores that are ours, one a line
devices() {
	for device in "$target"/core/user_*/*; do
		[ -f "$device/attrib/dev_config" ] || continue
		case $(cat "$device/attrib/dev_config") in
		duotgt/*) echo "$device" ;;
		esac
	done
}

# find_device STORAGE: by its name, its path or its string; fails when it is not attached
find_device() {
	for device in $(devices); do
		case $1 in
		"${device##*/}" | "$(sed 's/^duotgt.//' "$device/attrib/dev_config")")
			echo "$device"
			return
			;;
		esac
	done
	return 1
}

is_enabled() { [ "$(cat "$1/enable" 2>/dev/null)" = 1 ]; }

# free_hba: a number that no backstore has; each gets its own, as targetcli does it
free_hba() {
	n=0
	while [ -d "$target/core/user_$n" ]; do
		n=$((n + 1))
	done
	echo "$target/core/user_$n"
}

attach() {
	ask_facts "$1"
	need_module target_core_user "$target/core"
	device=$(find_device "$name") || device=''
	if [ -n "$device" ] && [ "$(cat "$device/attrib/dev_config")" != "$dev_config" ]; then
		die 4 "$name: a backstore of that name is $(cat "$device/attrib/dev_config") (give \
the storage a name in $config)"
	fi
	if [ -n "$device" ] && is_enabled "$device"; then
		bring_up_to_date "$device"
	else
		wait_for_server
		make_device "${device:-$(free_hba)/$name}"
	fi
	done_with
}

# make_device PATH
make_device() {
	make_folder "${1%/*}"
	make_folder "$1"
	more=''
	# A runner that has not heard of the subtype would answer for it, and refuse.
	[ "$server" = daemon ] && program_runs tcmu-runner && more=,nl_reply_supported=-1
	set_value "dev_size=$size,dev_config=$dev_config,hw_block_size=$block_size,\
hw_max_sectors=$max_sectors,max_data_area_mb=$max_data_area_mb$more" "$1/control"
	# What it splits at or cuts off, it does not complain of.
	[ "$(cat "$1/attrib/dev_config")" = "$dev_config" ] ||
		die 1 "$1/control: took $(cat "$1/attrib/dev_config") for $dev_config"
	set_value "$cmd_time_out" "$1/attrib/cmd_time_out"
	set_value "$write_cache" "$1/attrib/emulate_write_cache"
	# The core answers for itself. Reservations are the kernel's, which knows the initiators, unless
	# the configuration says otherwise.
	set_value 0 "$1/attrib/alua_support"
	case $reservations in
	none) set_value 0 "$1/attrib/emulate_pr" ;;
	duotgt) set_value 0 "$1/attrib/pgr_support" ;;
	esac
	[ -z "$serial" ] || set_value "$serial" "$1/wwn/vpd_unit_serial"
	enable_device "$1"
	echo "$name: attached, $size bytes, ${1#"$target"/}"
}

# bring_up_to_date DEVICE: what may differ while it is in use is the size
bring_up_to_date() {
	if [ "$(cat "$1/attrib/dev_size")" = "$size" ]; then
		echo "$name: is attached, ${1#"$target"/}"
		return
	fi
	set_value "$size" "$1/attrib/dev_size" "is the size that the storage has"
	echo "$name: has $size bytes now, ${1#"$target"/}"
}
