package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/goccy/go-yaml"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/crypto/bcrypt"
)

// WebFile is what an exporter-toolkit file asks of people.
type WebFile struct {
	Users map[string]string `yaml:"basic_auth_users"` // name to bcrypt hash
	TLS   struct {
		Cert       string `yaml:"cert_file"`
		Inline     string `yaml:"cert"`
		ClientAuth string `yaml:"client_auth_type"`
	} `yaml:"tls_server_config"`
}

// ReadWeb reads the exporter-toolkit file at path, as it is now.
func ReadWeb(path string) (f WebFile, err error) {
	b, err := readSmall(path)
	if err != nil {
		return f, fmt.Errorf("web_config: %w", err)
	}
	if err := yaml.Unmarshal(b, &f); err != nil {
		return f, errors.New("web_config: the file is not YAML")
	}
	return f, nil
}

// mostOfWeb is how many bytes such a file has at most: it is read at each request.
const mostOfWeb = 1 << 20

// readSmall reads a file, and waits for no pipe.
func readSmall(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|notWaiting, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular() || st.Size() > mostOfWeb:
		return nil, fmt.Errorf("%s is no file of settings", path)
	}
	return io.ReadAll(io.LimitReader(f, mostOfWeb))
}

// ErrNoUsers says that a file asks nobody to sign in.
var ErrNoUsers = errors.New("web_config: the file names no basic_auth_users")

// SignIn reports whether the file asks for a password or a client certificate.
func (f WebFile) SignIn() bool { return len(f.Users) > 0 || f.Certificate() }

// Certificate reports whether the file asks for a client certificate of everybody.
func (f WebFile) Certificate() bool { return f.TLS.ClientAuth == "RequireAndVerifyClientCert" }

// Encrypts reports whether the file has the listener speak TLS.
func (f WebFile) Encrypts() bool { return f.TLS.Cert != "" || f.TLS.Inline != "" }

// CheckWeb returns why the pages could not be served by the exporter-toolkit file at path, whose certificates it reads too.
func CheckWeb(path string) error {
	if path == "" {
		return nil
	}
	f, err := ReadWeb(path)
	if err != nil {
		return err
	}
	for _, user := range slices.Sorted(maps.Keys(f.Users)) {
		if _, err := bcrypt.Cost([]byte(f.Users[user])); err != nil {
			return fmt.Errorf("web_config: the password of %q is no bcrypt hash; htpasswd -nBC 10 %q makes one", user, user)
		}
	}
	if err := toolkit.Validate(path); err != nil {
		return fmt.Errorf("web_config: %s: %w", path, err)
	}
	return nil
}
