#!/bin/sh
# initramfs.sh TREE RELEASE OUT: what a kernel needs until the host's root is mounted. TREE has
# /lib/modules/RELEASE; the archive OUT is made in a folder beside it.
set -e
folder=$3.d
mkdir -p "$folder/root"
cp "$(command -v busybox)" "$folder/busybox"
number=100
for module in virtio_pci 9pnet_virtio 9p; do
    modprobe -d "$1" -S "$2" --show-depends "$module"
done | while read -r word file _; do
    [ "$word" = insmod ] && cp "$file" "$folder/$number.ko"
    number=$((number + 1))
done
cat >"$folder/init" <<'INIT'
#!/busybox sh
# A module that two others need comes twice: the second time it is there.
for module in /*.ko; do /busybox insmod "$module" 2>/busybox.log; done
/busybox mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 root /root ||
    /busybox echo "the root of the host cannot be mounted"
exec /busybox switch_root /root "$HFI_INIT"
INIT
chmod +x "$folder/init"
cd "$folder"
find . | busybox cpio -o -H newc >"$3" 2>/dev/null
