package app

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/keyrounds/keyrounds/access"
	"github.com/keyrounds/keyrounds/config"
)

// local is the server of the socket of this machine.
type local struct {
	http   *http.Server
	socket *access.Socket
}

// SocketName is the socket in data_dir, where access.socket names no other place.
const SocketName = "keyrounds.sock"

// listenLocal serves the pages on the socket too: who asks there is the user of the operating system. Without access.socket a
// place where none can be is no error: the daemon goes without, and says so.
func (a *App) listenLocal(c *config.Config, pages http.Handler) error {
	path := c.Access.Socket
	if path == config.SocketOff {
		return nil
	}
	if path == "" {
		path = filepath.Join(c.DataDir, SocketName)
		_ = os.MkdirAll(c.DataDir, 0o711) // where that cannot be, the next line says why
	}
	socket, err := access.ListenSocket(path, c.Access.SocketGroup)
	if err != nil {
		if c.Access.Socket != "" || c.Access.SocketGroup != "" {
			return err
		}
		attrs := []any{"error", err}
		var hint interface{ Hint() string }
		if errors.As(err, &hint) {
			attrs = append(attrs, "hint", hint.Hint())
		}
		a.Log.Warn("there is no socket for this machine", attrs...)
		return nil
	}
	a.local = &local{socket: socket, http: &http.Server{
		Handler: fromHere(pages), ConnContext: socket.Peer, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
	}}
	return nil
}

// fromHere names where requests of the socket come from, as failures are counted and recorded by it.
func fromHere(pages http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RemoteAddr = "socket"
		pages.ServeHTTP(w, r)
	})
}

func (l *local) serve(a *App) {
	a.serving.Go(func() {
		if err := l.http.Serve(l.socket); err != nil && !errors.Is(err, http.ErrServerClosed) {
			a.Log.Error("the socket ended", "error", err)
		}
	})
}

func (l *local) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if l.http.Shutdown(ctx) != nil {
		_ = l.http.Close()
	}
	_ = l.socket.Close() // where it never served
}
