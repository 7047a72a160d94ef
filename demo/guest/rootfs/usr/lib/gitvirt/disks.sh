# Shell functions about disks, for sourcing.
# Full paths below, because busybox prefers its own mke2fs, which makes no journal.

# Names of the whole disks, virtio first, then SCSI, then NVMe; each kind in the kernel's order.
disk_names() {
    for disk in /sys/block/vd* /sys/block/sd* /sys/block/nvme*n*; do
        [ -e "$disk" ] && echo "${disk##*/}"
    done
}

# find_labelled TYPE LABEL: name of the first disk that holds such a file system; nothing when there is none.
find_labelled() {
    for name in $(disk_names); do
        if [ "$(file-system "/dev/$name")" = "$1 $2" ]; then
            echo "$name"
            return
        fi
    done
}

# use_data_disk NAME: mount it, making a file system first only when its beginning is nothing but zeros.
# The first one goes to /data, further ones to /mnt/NAME. Foreign content is left alone.
use_data_disk() {
    name=$1
    device=/dev/$name
    if grep -q "^$device " /proc/mounts; then
        /sbin/resize2fs "$device" > /dev/null 2>&1
        return
    fi
    read -r read_only < "/sys/block/$name/ro"
    read -r sectors < "/sys/block/$name/size"
    [ "$read_only" = 0 ] && [ "$sectors" -ge 2048 ] || return
    case "$(file-system "$device")" in
        blank*) /sbin/mke2fs -q -F -t ext4 -m 0 -L data -E lazy_itable_init=1,nodiscard "$device" || return ;;
        ext*) ;;
        *) return ;;
    esac
    place=/data
    grep -q ' /data ' /proc/mounts && place=/mnt/$name
    mkdir -p "$place"
    # sync: what a command wrote is on the disk when the command ends, so a pulled plug loses nothing.
    mount -t ext4 -o sync,noatime,noinit_itable "$device" "$place" || return
    /sbin/resize2fs "$device" > /dev/null 2>&1
    echo "gitvirt demo guest: $name is mounted at $place" > /dev/console
}
