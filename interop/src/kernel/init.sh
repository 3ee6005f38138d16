#!/bin/bash
# Process 1 of a guest whose root is the host's, read-only: loads ESP, then runs commands from the
# console, one per line behind its number, and says after each how it ended.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
mkdir -p /run/root/lib/modules
mount --bind /usr/lib/uml/modules /run/root/lib/modules
stty -echo
# The kernel asks for modules by this program.
printf '#!/bin/sh\nexec modprobe -d /run/root "$@"\n' >/run/modprobe
chmod +x /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
for module in ipv6 esp4 esp6 xfrm_user drbg seqiv echainiv gcm ctr ghash-generic cbc hmac \
    sha512_generic authenc authencesn chacha20poly1305 chacha_generic poly1305_generic; do
    /run/modprobe -q "$module" || echo "no module $module"
done
ip link set lo up
ip link set vec0 up
echo "HFI-READY $(uname -r)"
while read -r number line; do
    eval "$line" </dev/null 2>&1
    echo "HFI-DONE $number $?"
done
