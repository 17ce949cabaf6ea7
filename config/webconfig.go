package config

import (
	"errors"
	"fmt"
	"os"

	"github.com/goccy/go-yaml"
)

// SignIn returns why the exporter-toolkit file at path asks for no sign-in, or nil where it asks for a password
// (basic_auth_users) or a client certificate. A file that cannot be read is an error as well.
func SignIn(path string) error {
	f, err := readWebConfig(path)
	if err != nil {
		return err
	}
	if len(f.Users) == 0 && f.TLS.ClientAuth != "RequireAndVerifyClientCert" {
		return errors.New("web_config: the file names no basic_auth_users")
	}
	return nil
}

type webConfig struct {
	Users map[string]string `yaml:"basic_auth_users"`
	TLS   struct {
		Cert       string `yaml:"cert_file"`
		Inline     string `yaml:"cert"`
		ClientAuth string `yaml:"client_auth_type"`
	} `yaml:"tls_server_config"`
}

func readWebConfig(path string) (f webConfig, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return f, fmt.Errorf("web_config: %w", err)
	}
	if err := yaml.Unmarshal(b, &f); err != nil {
		return f, errors.New("web_config: the file is not YAML")
	}
	return f, nil
}

// BasicUser reports whether the exporter-toolkit file at path has a password for a user, now. The toolkit reads it at each request, and
// asks nobody where it has no users: only what stands in it was asked for.
func BasicUser(path, user string) bool {
	f, err := readWebConfig(path)
	_, known := f.Users[user]
	return err == nil && known
}

// TLS reports whether the exporter-toolkit file at path has the listener speak TLS.
func TLS(path string) bool {
	f, err := readWebConfig(path)
	return err == nil && (f.TLS.Cert != "" || f.TLS.Inline != "")
}
