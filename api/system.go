package api

import (
	"context"
	"runtime"

	"github.com/keyrounds/keyrounds/credential"
)

// Version says what answers.
type Version struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`

	Timezone string `json:"timezone" doc:"In which months and days are counted."`
	Config   string `json:"config_file,omitempty" doc:"By which file it runs; told on the socket only."`
}

type shownVersion struct{ Body Version }

func (s *server) showVersion(ctx context.Context, _ *struct{}) (*shownVersion, error) {
	v := Version{s.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH, s.Config().Zone.String(), ""}
	if asking(ctx).Here {
		v.Config = s.ConfigFile
	}
	return &shownVersion{v}, nil
}

// Configuration is what holds of the configuration file, without secrets, and without what could hold one: addresses of
// receivers, proxies and the database are left out, references are named.
type Configuration struct {
	DataDir        string           `json:"data_dir"`
	Database       string           `json:"database" doc:"A reference, given, or private."`
	Listen         string           `json:"listen"`
	ExternalURL    string           `json:"external_url"`
	Hosts          []string         `json:"hosts" nullable:"false"`
	TrustedProxies []string         `json:"trusted_proxies" nullable:"false"`
	SignIn         bool             `json:"sign_in" doc:"Whether web_config is set."`
	Timezone       string           `json:"timezone"`
	LogLevel       string           `json:"log_level"`
	KeepMonths     int              `json:"keep_months"`
	Schedule       string           `json:"default_schedule"`
	UnusedAfter    string           `json:"default_unused_after"`
	Digest         string           `json:"digest"`
	Reports        string           `json:"reports_unused"`
	Providers      []string         `json:"providers" nullable:"false"`
	Feeds          []ConfiguredFeed `json:"feeds" nullable:"false"`
	Receivers      []string         `json:"receivers" nullable:"false"`
	LeakSources    []string         `json:"leak_sources" nullable:"false"`
	Webhooks       []string         `json:"leak_webhooks" nullable:"false"`
	Transmitters   []string         `json:"leak_transmitters" nullable:"false"`
	Warnings       []string         `json:"warnings" nullable:"false"`
}

// ConfiguredFeed is a feed of the configuration.
type ConfiguredFeed struct {
	Name     string `json:"name"`
	Provider string `json:"provider"`
	Type     string `json:"type"`
	Format   string `json:"format"`
}

type shownConfiguration struct{ Body Configuration }

func (s *server) showConfiguration(context.Context, *struct{}) (*shownConfiguration, error) {
	c := s.Config()
	j := Configuration{
		DataDir: c.DataDir, Database: "private", Listen: c.Listen, ExternalURL: c.ExternalURL, Hosts: orEmpty(c.Hosts),
		TrustedProxies: []string{}, SignIn: c.WebConfig != "", Timezone: c.Zone.String(), LogLevel: c.LogLevel.String(), KeepMonths: c.Keep,
		Schedule: c.Defaults.Schedule, UnusedAfter: credential.FormatDuration(c.Defaults.UnusedAfter), Digest: c.Digest,
		Reports: c.Reports.Unused, Providers: sorted(c.Providers), Feeds: []ConfiguredFeed{}, Receivers: orEmpty(c.ReceiverNames()),
		LeakSources: []string{}, Webhooks: []string{}, Transmitters: []string{}, Warnings: []string{},
	}
	switch {
	case !c.Database.Ref.IsZero():
		j.Database = c.Database.Ref.String()
	case c.Database.Literal != "":
		j.Database = "given"
	}
	for _, p := range c.TrustedProxies {
		j.TrustedProxies = append(j.TrustedProxies, p.String())
	}
	for _, f := range c.Feeds {
		j.Feeds = append(j.Feeds, ConfiguredFeed{f.Name, f.Provider, string(f.Type), string(f.Format.Name)})
	}
	for _, l := range c.Leaks.Sources {
		j.LeakSources = append(j.LeakSources, l.Name)
	}
	for _, w := range c.Leaks.Webhooks {
		j.Webhooks = append(j.Webhooks, w.Name)
	}
	for _, t := range c.Leaks.Transmitters {
		j.Transmitters = append(j.Transmitters, t.Name)
	}
	for _, w := range c.Warnings {
		j.Warnings = append(j.Warnings, w.InShort())
	}
	return &shownConfiguration{j}, nil
}
