package outbound

import (
	"errors"
	"fmt"
	"net/netip"
)

// Rules of addresses that may be dialled. They are applied to the address itself, at dial time,
// after DNS, so that a name that changes its mind is caught:
//
//  1. Cloud metadata services: never.
//  2. Loopback, private, link-local, carrier and reserved ranges: only where the policy allows
//     private networks.
//  3. An IPv4 address inside an IPv6 one (mapped, compatible, translated, NAT64, 6to4) counts as
//     itself.
//
// The table is our own: net/netip's predicates miss several metadata services and all disguises.

// ErrAddress says that an address may not be dialled; the error that wraps it says which and why.
var ErrAddress = errors.New("this address may not be dialled")

// guardAddress returns why addr may not be dialled, or nil. The error wraps ErrAddress.
func guardAddress(addr netip.Addr, allowPrivate bool) error {
	addr = addr.WithZone("").Unmap()
	for _, a := range append(embedded(addr), addr) {
		if inside(a, metadataServices) {
			return fmt.Errorf("%w: %s is a cloud metadata service", ErrAddress, addr)
		}
		if !allowPrivate && inside(a, private) {
			return fmt.Errorf("%w: %s is not a public address (allow_private_networks is off)", ErrAddress, addr)
		}
	}
	return nil
}

func inside(a netip.Addr, table []netip.Prefix) bool {
	for _, p := range table {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func prefixes(texts ...string) []netip.Prefix {
	ps := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		ps[i] = netip.MustParsePrefix(t)
	}
	return ps
}

var (
	metadataServices = prefixes(
		"169.254.169.254/32", "169.254.170.2/32", "169.254.170.23/32", "169.254.169.123/32", // AWS, GCP, Azure, ECS
		"100.100.100.200/32",  // Alibaba
		"192.0.0.192/32",      // Oracle
		"168.63.129.16/32",    // Azure
		"fd00:ec2::254/128",   // AWS
		"fd00:ec2::23/128",    // AWS EKS
		"fd20:ce::254/128",    // GCP
		"fe80::a9fe:a9fe/128", // OpenStack
	)
	// IANA special-purpose address registries (RFC 6890), and multicast.
	private = prefixes(
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
		"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20",
		"5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	)
)

// embedded returns the IPv4 addresses that an IPv6 address carries.
func embedded(a netip.Addr) []netip.Addr {
	if a.Is4() {
		return nil
	}
	b := a.As16()
	at := func(i int) netip.Addr { return netip.AddrFrom4([4]byte(b[i : i+4])) }
	for _, form := range []struct {
		prefix string
		offset int
	}{
		{"64:ff9b::/96", 12},    // NAT64 (RFC 6052)
		{"64:ff9b:1::/48", 12},  // local NAT64 (RFC 8215)
		{"2002::/16", 2},        // 6to4 (RFC 3056)
		{"::ffff:0:0:0/96", 12}, // SIIT (RFC 2765)
		{"::/96", 12},           // compatible (RFC 4291)
	} {
		if netip.MustParsePrefix(form.prefix).Contains(a) {
			return []netip.Addr{at(form.offset)}
		}
	}
	return nil
}
