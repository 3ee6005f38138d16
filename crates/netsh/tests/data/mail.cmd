@echo off
rem Protects what front ends ask of the mail cluster at 10.20.0.10, and shields its nodes.
rem Objects of every kind, and every way to say them.

netsh ipsec static set store location=local
netsh ipsec static delete all

:: What is protected.
netsh ipsec static add filterlist name="Mail: passwords" description="POP3 and IMAP4"
netsh ipsec static add filter filterlist="Mail: passwords" srcaddr=10.20.0.0 srcmask=255.255.255.0 dstaddr=me protocol=TCP srcport=0 dstport=110 mirrored=yes description="POP3"
netsh ipsec static add filter filterlist="Mail: passwords" srcaddr=10.20.0.0 srcmask=24 dstaddr=me protocol=TCP dstport=143 mirrored=yes desc="IMAP4"
netsh ipsec static add filterlist name="Mail: HTTP"
netsh ipsec static add filter filterlist="Mail: HTTP" srcaddr=10.20.0.0 srcmask=255.255.255.0 ^
    dstaddr=me protocol=TCP dstport=80 mirrored=yes
netsh ipsec static add filter filterlist="Backup" srcaddr=me dstaddr=10.30.0.20-10.30.0.29 protocol=ANY
netsh ipsec static add filter filterlist="Directory" srcaddr=me dstaddr=10.40.0.5 protocol=TCP dstport=389
netsh ipsec static add filter filterlist="Directory" srcaddr=me dstaddr=10.40.0.5 protocol=UDP dstport=389
netsh ipsec static add filter filterlist="Branch out" srcaddr=10.20.0.0 srcmask=255.255.255.0 dstaddr=10.99.0.0 dstmask=255.255.0.0 mirrored=no
netsh ipsec static add filter filterlist="Branch in" srcaddr=10.99.0.0 srcmask=255.255.0.0 dstaddr=10.20.0.0 dstmask=255.255.255.0 mirrored=no

:: What is shut, and what stays open.
netsh ipsec static add filterlist name="Windows services"
netsh ipsec static add filter filterlist="Windows services" srcaddr=any dstaddr=Me protocol=TCP dstport=445 mirrored=yes
netsh ipsec static add filter filterlist="Windows services" srcaddr=any dstaddr=Me protocol=TCP dstport=135 mirrored=yes
netsh ipsec static add filter filterlist="Windows services" srcaddr=any dstaddr=Me protocol=UDP dstport=137
netsh ipsec static add filter filterlist="Windows services" srcaddr=any dstaddr=Me protocol=UDP dstport=138
netsh ipsec static delete filter filterlist="Windows services" srcaddr=any dstaddr=me protocol=UDP dstport=138
netsh ipsec static add filter filterlist="Administration" srcaddr=10.50.0.7 dstaddr=me
netsh ipsec static add filter filterlist="Ping" srcaddr=any dstaddr=me protocol=ICMP
netsh ipsec static add filter filterlist="Outgoing telnet" srcaddr=me dstaddr=any protocol=TCP dstport=23 mirrored=no
netsh ipsec static add filter filterlist="Spooler" srcaddr=any dstaddr=me protocol=47

:: What happens to it.
netsh ipsec static add filteraction name="Open" action=permit
netsh ipsec static add filteraction name="Shut" description="Nobody comes in" action=block
netsh ipsec static add filteraction name="Protect" action=negotiate qmpfs=no inpass=no soft=no qmsecmethods="ESP[3DES,SHA1]:100000k/3600s ESP[3DES,MD5]:100000k/3600s"
netsh ipsec static add filteraction name="Protect and renew" qmpfs=yes inpass=no soft=no action=negotiate qmsecmethods="ESP[3DES,SHA1]:50000k/900s"
netsh ipsec static add filteraction name="Ask" action=negotiate inpass=yes soft=yes qmsecmethods="ESP[3DES,SHA1]:100000k/3600s ESP[None,SHA1]:100000k/3600s"
netsh ipsec static add filteraction name="Unused" action=permit
netsh ipsec static set filteraction name="Unused" newname="Draft" action=block
netsh ipsec static delete filteraction name="Draft"

:: The policy, and its rules.
netsh ipsec static add policy name="Mail cluster" description="As in KB821839" mmpfs=no qmpermm=0 mmlifetime=480 activatedefaultrule=no pollinginterval=180 assign=no mmsecmethods="3DES-SHA1-2 3DES-MD5-2"
netsh ipsec static add policy name="Draft" activatedefaultrule=no
netsh ipsec static add rule name="passwords" policy="Mail cluster" filterlist="Mail: passwords" filteraction="Protect" conntype=all activate=yes psk="kT9wQ2x7Lr4TnV1sYb8mHc3eJd6fGa5uPo0iRq2tMwE"
netsh ipsec static add rule name="http" policy="Mail cluster" filterlist="Mail: HTTP" filteraction="Ask" psk="kT9wQ2x7Lr4TnV1sYb8mHc3eJd6fGa5uPo0iRq2tMwE"
netsh ipsec static add rule name="backup" policy="Mail cluster" filterlist="Backup" filteraction="Protect and renew" description="Nightly" psk="xT1vVb2cQ4mW0rKpYg7hZs9eLd3nJf5aUo8iRq6tMwE"
netsh ipsec static add rule name="directory" policy="Mail cluster" filterlist="Directory" filteraction="Open"
netsh ipsec static add rule name="branch out" policy="Mail cluster" filterlist="Branch out" filteraction="Protect" tunnel=192.0.2.99 psk="Zk9wQ2x7Lr4TnV1sYb8mHc3eJd6fGa5uPo0iRq2tMwE"
netsh ipsec static add rule name="branch in" policy="Mail cluster" filterlist="Branch in" filteraction="Protect" tunnel=192.0.2.10 psk="Zk9wQ2x7Lr4TnV1sYb8mHc3eJd6fGa5uPo0iRq2tMwE"
netsh ipsec static add rule name="shield" policy="Mail cluster" filterlist="Windows services" filteraction="Shut"
netsh ipsec static add rule name="administration" policy="Mail cluster" filterlist="Administration" filteraction="Open" conntype=lan
netsh ipsec static add rule name="ping" policy="Mail cluster" filterlist="Ping" filteraction="Open"
netsh ipsec static add rule name="telnet" policy="Mail cluster" filterlist="Outgoing telnet" filteraction="Shut"
netsh ipsec static add rule name="spooler" policy="Mail cluster" filterlist="Spooler" filteraction="Shut" activate=no
netsh ipsec static add rule name="temporary" policy="Mail cluster" filterlist="Ping" filteraction="Shut"
netsh ipsec static delete rule name="temporary" policy="Mail cluster"
netsh ipsec static set rule name="ping" policy="Mail cluster" newname="echo" description="Whether it is there"
netsh ipsec static set defaultrule policy="Mail cluster" activate=no kerberos=yes
netsh ipsec static set policy name="Mail cluster" assign=yes
netsh ipsec dynamic set config property=ipsecexempt value=3
netsh ipsec dynamic set config property=bootmode value=stateful
netsh ipsec static show all
