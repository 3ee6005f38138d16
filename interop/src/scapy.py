"""Seals and opens single packets with scapy's IPsec layer: one JSON object per line in and out."""
import json
import sys
import warnings

warnings.simplefilter("ignore")
from scapy.layers.inet import IP  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.layers.ipsec import ESP, SecurityAssociation  # noqa: E402


def packet(octets):
    return (IPv6 if octets[0] >> 4 == 6 else IP)(octets)


def association(ask):
    tunnel = None
    if "tunnel" in ask:
        source, destination = ask["tunnel"]
        tunnel = (IPv6 if ":" in source else IP)(src=source, dst=destination)
    auth = {}
    if "integrity" in ask:
        auth = {"auth_algo": ask["integrity"], "auth_key": bytes.fromhex(ask["integrity_key"])}
    return SecurityAssociation(
        ESP,
        spi=ask["spi"],
        crypt_algo=ask["encryption"],
        crypt_key=bytes.fromhex(ask["encryption_key"]),
        tunnel_header=tunnel,
        **auth,
    )


def answer(ask):
    octets = bytes.fromhex(ask["packet"])
    extended = {"esn_en": ask["esn"], "esn": ask["sequence"] >> 32}
    if ask["do"] == "open":
        return bytes(association(ask).decrypt(packet(octets), **extended))
    low = ask["sequence"] & 0xFFFFFFFF
    return bytes(association(ask).encrypt(packet(octets), seq_num=low, **extended))


for line in sys.stdin:
    try:
        reply = {"packet": answer(json.loads(line)).hex()}
    except Exception as why:  # whatever it is, the other side says what it was asked to do
        reply = {"error": f"{type(why).__name__}: {why}"}
    print(json.dumps(reply), flush=True)
