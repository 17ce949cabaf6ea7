package hook

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Parts are the texts in portions of up to most bytes and so many texts; one that is larger is alone in its portion.
func (b *Brought) Parts(most int64, texts int) (all [][]Text) {
	from, size := 0, int64(0)
	for i, t := range b.Texts {
		if i > from && (size+t.Size > most || i-from == texts) {
			all = append(all, b.Texts[from:i])
			from, size = i, 0
		}
		size += t.Size
	}
	if from < len(b.Texts) {
		all = append(all, b.Texts[from:])
	}
	return all
}

// Archive writes texts as a tar archive, in their order, with one member for each.
func Archive(ctx context.Context, texts []Text, w io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var ids strings.Builder
	for _, t := range texts {
		if t.Object != "" {
			ids.WriteString(t.Object + "\n")
		}
	}
	cmd := command(ctx, "cat-file", "--batch", "--buffer")
	said := &beginning{}
	cmd.Stdin, cmd.Stderr = strings.NewReader(ids.String()), said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	err = pack(texts, bufio.NewReaderSize(out, 256<<10), tar.NewWriter(w))
	if err != nil {
		cancel()
	}
	waited := failed(cmd.Wait(), "cat-file", said)
	if err != nil {
		return err
	}
	return waited
}

var errGave = errors.New("git cat-file gave something else than it was asked for")

// pack writes the archive from what cat-file gives.
func pack(texts []Text, objects *bufio.Reader, w *tar.Writer) error {
	for _, t := range texts {
		content := io.Reader(strings.NewReader(t.text))
		if t.Object != "" {
			head, err := objects.ReadString('\n')
			if err != nil || head != fmt.Sprintf("%s %s %d\n", t.Object, t.Kind, t.Size) {
				return errGave
			}
			content = io.LimitReader(objects, t.Size)
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: memberName(t.Name), Size: t.Size, Mode: 0o600, Format: tar.FormatPAX}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		n, err := io.Copy(w, content)
		if err != nil {
			return err
		}
		if n != t.Size {
			return errGave
		}
		if t.Object != "" {
			if _, err := objects.Discard(1); err != nil {
				return errGave
			}
		}
	}
	return w.Close()
}

// memberName is a name as an archive can have it: with no end that would make it a directory, and not as long as a header can be.
func memberName(name string) string {
	const most = 64 << 10
	name = strings.ReplaceAll(name[:min(len(name), most)], "\x00", " ")
	return strings.TrimRight(name, "/")
}
