# A kernel for guests: the image uncompressed, as the emulator loads it directly, and the modules
# that networks, ESP and its algorithms need.
dpkg-deb --fsys-tarfile ./*.deb | tar -x --wildcards './boot/vmlinuz-*' './lib/modules/*/modules.*' \
    './lib/modules/*/kernel/crypto' './lib/modules/*/kernel/lib' './lib/modules/*/kernel/arch' \
    './lib/modules/*/kernel/net' './lib/modules/*/kernel/fs/9p' './lib/modules/*/kernel/fs/netfs' \
    './lib/modules/*/kernel/fs/fscache' './lib/modules/*/kernel/drivers/virtio' \
    './lib/modules/*/kernel/drivers/net/virtio_net.ko' './lib/modules/*/kernel/drivers/net/tun.ko' \
    './lib/modules/*/kernel/drivers/net/net_failover.ko' './lib/modules/*/kernel/drivers/net/dummy.ko' \
    './lib/modules/*/kernel/drivers/net/bonding'
rm ./*.deb
for modules in lib/modules/*; do depmod -b . "${modules##*/}"; done
# Where the compressed kernel lies: Documentation/arch/x86/boot.rst, setup_sects, payload_offset and
# payload_length.
image=$(echo boot/vmlinuz-*)
number() { od -An -t "u$2" -j "$1" -N "$2" "$image" | tr -d ' '; }
begin=$((($(number 497 1) + 1) * 512 + $(number 584 4)))
tail -c +$((begin + 1)) "$image" | head -c "$(number 588 4)" | xz -dc --single-stream >vmlinux
rm -r boot
