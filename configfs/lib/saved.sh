# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# What outlives a restart of the host: commands of this script, one a line, as they would make what
# there is now; and files of secrets beside them.

save() {
	folder=$(dirname "$file")
	mkdir -p "$folder" 2>/dev/null || true
	umask 077
	new=$(mktemp "$file.XXXXXX" 2>/dev/null) || die 5 "$file: cannot be written"
	will_undo unlink_path "$new"
	{
		echo '# written by duotgt-lio save'
		for device in $(devices); do
			storage=$(sed 's/^duotgt.//' "$device/attrib/dev_config")
			echo "attach $storage"
			for link in $(exports "$device"); do
				case $link in
				"$target"/loopback/*) echo "export $storage --loopback" ;;
				"$target"/iscsi/*) saved_iscsi "$storage" "$link" ;;
				*) complain "${link#"$target"/}: not saved" ;;
				esac
			done
		done
	} >"$new" || die 1 "$new: cannot be written"
	sync "$new" || die 1 "$new: cannot be synced"
	mv "$new" "$file" || die 1 "$file: cannot be replaced"
	done_with
	sync "$folder" || die 1 "$folder: cannot be synced"
	echo "$file: saved, $(grep -c '^attach' "$file") storage(s)"
}

# saved_iscsi STORAGE LINK
saved_iscsi() {
	tpg=${2%/lun/*}
	iqn=${tpg#"$target"/iscsi/}
	iqn=${iqn%/tpgt_*}
	line="export $1 --iscsi $iqn"
	for portal in "$tpg"/np/*; do
		[ ! -d "$portal" ] || line="$line --portal ${portal##*/}"
	done
	with_chap=$(cat "$tpg/attrib/authentication")
	if [ "$(cat "$tpg/attrib/generate_node_acls")" = 1 ]; then
		[ "$with_chap" = 0 ] || line="$line $(saved_secrets "$tpg/auth" "$iqn")"
		echo "$line"
		return
	fi
	# Each initiator may have secrets of its own.
	for acl in "$tpg"/acls/*; do
		[ -d "$acl" ] || continue
		more=" --acl ${acl##*/}"
		[ "$with_chap" = 0 ] ||
			more="$more $(saved_secrets "$acl/auth" "$iqn.${acl##*/}")"
		echo "$line$more"
	done
}

# saved_secrets FOLDER NAME: writes them, and prints the option that reads them
saved_secrets() {
	secrets=$file.chap.$2
	{
		echo "$(cat "$1/userid") $(cat "$1/password")"
		[ -z "$(cat "$1/userid_mutual" 2>/dev/null)" ] ||
			echo "$(cat "$1/userid_mutual") $(cat "$1/password_mutual")"
	} >"$secrets.new" && sync "$secrets.new" && mv "$secrets.new" "$secrets" ||
		complain "$secrets: cannot be written"
	echo "--chap-file $secrets"
}

# Each line in a process of its own; one that fails does not keep the others from being made.
restore() {
	[ -r "$file" ] || die 3 "$file: cannot be read (duotgt-lio save makes it)"
	failed=0
	while read -r line; do
		case $line in
		attach\ * | export\ *) ;;
		'' | '#'*) continue ;;
		*) die 7 "$file: not of duotgt-lio save: $line" ;;
		esac
		# shellcheck disable=SC2086
		set -- $line
		sh "$here/duotgt-lio" --root "$root" --config "$config" --wait "$wait_s" "$@" \
			</dev/null || failed=$?
	done <"$file"
	return $failed
}
