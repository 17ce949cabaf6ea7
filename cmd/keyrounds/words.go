package main

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// inOwnWords is the text of an error without the words of the libraries in it: of a file that cannot be opened, a program that cannot
// be run, an address where nobody listens, a time that is over.
func inOwnWords(err error) string {
	text := err.Error()
	for said, ours := range libraryWords(err, map[string]string{}) {
		text = strings.ReplaceAll(text, said, ours)
		if name, _, named := strings.Cut(ours, ": "); named { // whoever wrapped it named it as well
			text = strings.ReplaceAll(text, name+": "+ours, ours)
		}
	}
	return plainWords.Replace(text)
}

// plainWords are for what Go says of a time that is over, and of Ctrl-C.
var plainWords = strings.NewReplacer("context deadline exceeded", "it took too long", "context canceled", "it was interrupted")

// libraryWords are the texts of the libraries' errors in err's tree, each with ours for it.
func libraryWords(err error, all map[string]string) map[string]string {
	switch e := err.(type) { //nolint:errorlint // each error of the tree is looked at by itself
	case *fs.PathError:
		all[e.Error()] = e.Path + ": " + ofFile(e.Err)
		return all
	case *os.LinkError:
		all[e.Error()] = e.New + ": " + ofFile(e.Err)
		return all
	case *exec.Error:
		why := ofFile(e.Err)
		if errors.Is(e.Err, exec.ErrNotFound) {
			why = "there is no such program"
		}
		all[e.Error()] = e.Name + ": " + why
		return all
	case *net.OpError:
		all[e.Error()] = ofNetwork(e)
		return all
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			libraryWords(inner, all)
		}
		return all
	}
	if inner := errors.Unwrap(err); inner != nil {
		libraryWords(inner, all)
	}
	return all
}

func ofFile(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file"
	case errors.Is(err, fs.ErrPermission):
		return "you have no permission, as the user that you are"
	case errors.Is(err, fs.ErrExist):
		return "it is there already"
	case errors.Is(err, syscall.EISDIR):
		return "it is a directory"
	case errors.Is(err, syscall.ENOTDIR):
		return "a part of its path is no directory"
	case errors.Is(err, syscall.ENOSPC):
		return "the disk is full"
	case errors.Is(err, syscall.EROFS):
		return "the disk can only be read"
	case errors.Is(err, syscall.ENAMETOOLONG):
		return "its name is too long"
	case errors.Is(err, syscall.ELOOP):
		return "its links lead nowhere"
	}
	return err.Error()
}

func ofNetwork(e *net.OpError) string {
	where := ""
	if e.Addr != nil {
		where = e.Addr.String() + ": "
	}
	name := (*net.DNSError)(nil)
	switch {
	case errors.As(e, &name):
		return name.Name + ": its name is not known here"
	case errors.Is(e, syscall.ECONNREFUSED):
		return where + "nobody listens there"
	case errors.Is(e, syscall.EADDRINUSE):
		return where + "another process listens there already"
	case errors.Is(e, syscall.EADDRNOTAVAIL):
		return where + "it is no address of this machine"
	case errors.Is(e, fs.ErrPermission):
		return where + "you have no permission, as the user that you are"
	case e.Timeout():
		return where + "it did not answer in time"
	}
	return where + "it cannot be reached"
}
