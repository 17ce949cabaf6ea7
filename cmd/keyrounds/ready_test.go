package main

import (
	"net"
	"net/http"
	"strings"
	"testing"
)

// The health check of containers: the debug listener answers without sign-in, and shows nothing else of the pages.
func TestReady(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	s.configure("debug: {listen: "+address+"}", "", 1)
	if out, code := s.command("ready"); code != exitError || !strings.Contains(out, "no daemon answers on "+address+"\nhint: ") {
		t.Errorf("without a daemon: %d: %s", code, out)
	}
	d := s.run()
	d.awaitReady(http.StatusOK)
	if out, code := s.command("ready"); code != 0 || out != "ready\n" {
		t.Errorf("%d: %s", code, out)
	}
	if status, _ := fetch("http://" + address + "/api/v1/credentials"); status != http.StatusNotFound {
		t.Errorf("the debug listener shows credentials: %d", status)
	}
}
