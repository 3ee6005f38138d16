# Libreswan with its libraries, and a database for NSS without anything in it.
for package in ./*.deb; do dpkg -x "$package" .; done
rm ./*.deb
mkdir nss
LD_LIBRARY_PATH=$(echo usr/lib/*-linux-gnu) usr/bin/certutil -N -d "sql:$PWD/nss" --empty-password
