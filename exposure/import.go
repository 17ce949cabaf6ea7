package exposure

import (
	"context"
	"slices"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/leak"
	"github.com/keyrounds/keyrounds/leak/intake"
)

// Imported is what a report of another scanner came to.
type Imported struct {
	leak.Taken
	Leaked []credential.Credential // whose secret the report has
	// Unknown are credentials whose present secret nobody has read yet, so that it may be among the foreign ones: a
	// command does not write down what it reads in its own environment where a daemon is the one to read it.
	Unknown []credential.Credential
}

// ImportReport takes in a report of another scanner for actor. read reads it, tells found each of its findings and
// returns its format; its error ends the import, and nothing is written down.
func (x *Exposure) ImportReport(
	ctx context.Context, actor string, read func(found func(intake.Reported) error) (string, error),
) (im Imported, err error) {
	known, err := x.learn(ctx)
	if err != nil {
		return im, err
	}
	format, err := read(func(rep intake.Reported) error {
		known.widen(&rep)
		return x.Leaks.Match(ctx, rep, &im.Taken)
	})
	if err != nil {
		return im, err
	}
	for i, ev := range im.Evidence {
		im.Evidence[i] = ev.Masked(known.scanner.Mask)
	}
	_, err = x.addEvidence(ctx, arrival{
		actor: actor, action: "leaks.imported", evidence: im.Evidence,
		detail: map[string]any{"format": format, "findings": im.Findings, "matched": im.Matched, "foreign": im.Foreign},
	})
	if err != nil {
		return im, err
	}
	creds, err := x.Registry.List(ctx, false)
	if err != nil {
		return im, err
	}
	for _, c := range creds {
		if slices.ContainsFunc(im.Evidence, func(ev leak.Evidence) bool { return ev.CredentialID == c.ID && ev.Kind != leak.ByClientID }) {
			im.Leaked = append(im.Leaked, c)
		}
	}
	im.Unknown, err = x.unknown(ctx)
	return im, err
}
