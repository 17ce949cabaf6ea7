package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/goccy/go-yaml"
)

// SignIn returns why the exporter-toolkit file at path asks for no sign-in, or nil and its users where it asks for a password
// (basic_auth_users) or a client certificate. A file that cannot be read is an error as well.
func SignIn(path string) (users []string, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("web_config: %w", err)
	}
	var f struct {
		Users map[string]string `yaml:"basic_auth_users"`
		TLS   struct {
			ClientAuth string `yaml:"client_auth_type"`
		} `yaml:"tls_server_config"`
	}
	if err := yaml.Unmarshal(b, &f); err != nil {
		return nil, errors.New("web_config: the file is not YAML")
	}
	if len(f.Users) == 0 && f.TLS.ClientAuth != "RequireAndVerifyClientCert" {
		return nil, errors.New("web_config: the file names no basic_auth_users")
	}
	return slices.Sorted(maps.Keys(f.Users)), nil
}
