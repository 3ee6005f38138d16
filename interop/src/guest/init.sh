#!/bin/bash
# Process 1 of a guest whose root is the host's, read-only: loads ESP, then runs commands from the
# console, one per line behind its number, and says after each how it ended. The command line of
# the kernel gives HFI_MODULES, the folder of its modules, and HFI_SHARES, folders of the host to
# mount writable, with colons between them.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run TMPDIR=/run
stty -echo
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
# Programs read what they are given by this name.
ln -sf /proc/self/fd/0 /dev/stdin
mount -t tmpfs run /run
mkdir -p /run/lock /run/root/lib/modules
mount --bind "$HFI_MODULES" /run/root/lib/modules
number=0
for share in ${HFI_SHARES//:/ }; do
    mount -t 9p -o trans=virtio,version=9p2000.L,cache=none "share$number" "$share" ||
        echo "cannot mount $share"
    number=$((number + 1))
done
# What one kernel has as a module another has built in, and what is missing shows in use. After
# that the kernel loads none by itself: strongSwan has it look for every algorithm that there is.
modprobe -d /run/root -aq virtio_net ipv6 esp4 esp6 xfrm_user af_key drbg seqiv echainiv gcm ctr \
    cbc hmac ghash-generic aes_generic sha1_generic sha256_generic sha512_generic authenc \
    authencesn chacha20poly1305 chacha_generic poly1305_generic des_generic md5 crypto_null \
    nfnetlink nf_tables nft_objref nft_fib_inet nft_xfrm
echo >/proc/sys/kernel/modprobe
ip link set lo up
ip link set eth0 up
# Behind what firmware has written without an end of line.
printf '\nHFI-READY %s\n' "$(uname -r)"
while read -r number line; do
    eval "$line" </dev/null 2>&1
    echo "HFI-DONE $number $?"
done
