package outbound

import (
	"net/netip"
	"testing"
)

// Nothing here is dialled. An address in disguise counts as itself
// (docs/promises.md#an-address-in-disguise-counts-as-itself).
func TestGuardAddress(t *testing.T) {
	t.Parallel()
	const (
		public   = "public"
		private  = "private"
		metadata = "metadata"
	)
	for _, c := range []struct{ addr, kind string }{
		{"93.184.216.34", public},
		{"2606:2800:220:1:248:1893:25c8:1946", public},
		{"::ffff:93.184.216.34", public},
		{"64:ff9b::5db8:d822", public}, // NAT64 of a public one
		{"172.32.0.1", public},
		{"100.128.0.1", public},

		{"127.0.0.1", private},
		{"127.8.8.8", private},
		{"0.0.0.0", private},
		{"10.1.2.3", private},
		{"172.16.0.1", private},
		{"172.31.255.255", private},
		{"192.168.1.1", private},
		{"100.64.0.1", private},
		{"169.254.1.1", private},
		{"198.18.0.1", private},
		{"224.0.0.1", private},
		{"255.255.255.255", private},
		{"::", private},
		{"::1", private},
		{"fc00::1", private},
		{"fe80::1%eth0", private},
		{"ff02::1", private},
		{"2001:db8::1", private},
		{"::ffff:10.0.0.1", private},
		{"::10.0.0.1", private},
		{"::ffff:0:10.0.0.1", private},
		{"64:ff9b::a00:1", private},
		{"2002:a00:1::1", private},

		{"169.254.169.254", metadata},
		{"169.254.170.2", metadata},
		{"100.100.100.200", metadata},
		{"192.0.0.192", metadata},
		{"168.63.129.16", metadata},
		{"fd00:ec2::254", metadata},
		{"fd20:ce::254", metadata},
		{"fe80::a9fe:a9fe%eth0", metadata},
		{"::ffff:169.254.169.254", metadata},
		{"::169.254.169.254", metadata},
		{"::ffff:0:169.254.169.254", metadata},
		{"64:ff9b::a9fe:a9fe", metadata},
		{"64:ff9b:1::a9fe:a9fe", metadata},
		{"2002:a9fe:a9fe::1", metadata},
		{"64:ff9b::6464:64c8", metadata},
	} {
		a := netip.MustParseAddr(c.addr)
		if err := guardAddress(a, false); (err == nil) != (c.kind == public) {
			t.Errorf("%s is %s: %v", c.addr, c.kind, err)
		}
		if err := guardAddress(a, true); (err == nil) != (c.kind != metadata) {
			t.Errorf("%s is %s, with private networks: %v", c.addr, c.kind, err)
		}
	}
}

// What net/netip holds for special is never dialled, and every disguise of an IPv4 address has its verdict
// (docs/promises.md#an-address-in-disguise-counts-as-itself).
func FuzzGuardAddress(f *testing.F) {
	for _, a := range []string{
		"127.0.0.1", "10.0.0.1", "169.254.169.254", "100.100.100.200", "93.184.216.34", "::1", "fd00:ec2::254", "2002:a00:1::1",
	} {
		b := netip.MustParseAddr(a).As16()
		f.Add(b[:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != 16 {
			return
		}
		a := netip.AddrFrom16([16]byte(b)).Unmap()
		refused := guardAddress(a, false) != nil
		if special := a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() ||
			a.IsUnspecified(); special &&
			!refused {
			t.Errorf("%s is dialled", a)
		}
		if guardAddress(a, true) != nil && !refused {
			t.Errorf("%s is refused only where private networks are allowed", a)
		}
		v4 := netip.AddrFrom4([4]byte(b[12:16]))
		for _, disguise := range []string{"::ffff:", "64:ff9b::", "::ffff:0:", "::"} {
			d := netip.MustParseAddr(disguise + v4.String())
			for _, private := range []bool{false, true} {
				if guardAddress(v4, private) != nil && guardAddress(d, private) == nil {
					t.Errorf("%s is refused and %s is not", v4, d)
				}
			}
		}
	})
}
