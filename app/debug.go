package app

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/keyrounds/keyrounds/config"
)

// listenForDebug serves Go's profiles and the level of the log on a loopback address of their own, never on the one
// that others reach; and the pages' /readyz, which there needs no sign-in.
func (a *App) listenForDebug(addr string, pages http.Handler) error {
	if addr == "" {
		return nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("debug.listen: %w", err)
	}
	token, err := a.debugToken()
	if err != nil {
		_ = l.Close()
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /log-level", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, a.level()) })
	mux.HandleFunc("PUT /log-level", func(w http.ResponseWriter, r *http.Request) { a.putLevel(w, r, token) })
	mux.Handle("GET /readyz", pages)
	a.debug = &http.Server{Handler: http.NewCrossOriginProtection().Handler(onlyHere(mux)), ReadHeaderTimeout: 5 * time.Second}
	a.Log.Info("profiles and the log level are served", "listen", l.Addr().String())
	a.serving.Go(func() {
		if err := a.debug.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.Log.Error("the debug listener ended", "error", err)
		}
	})
	return nil
}

// onlyHere refuses what a web page had a browser ask for under another name of this machine.
func onlyHere(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !config.Loopback(strings.Trim(host, "[]")) {
			http.Error(w, "only by a loopback address", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *App) endDebug() {
	if a.debug != nil {
		_ = a.debug.Close()
	}
}

// debugToken is what changes the level of the log: every account of the machine reaches the listener, and only ours reads the
// file. It is another one after each start.
func (a *App) debugToken() (string, error) {
	dir, err := os.OpenRoot(a.Options.Config.DataDir)
	if err != nil {
		return "", fmt.Errorf("debug.listen: %w", err)
	}
	defer dir.Close()
	if err := dir.Remove(debugTokenFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("debug.listen: %w", err)
	}
	f, err := dir.OpenFile(debugTokenFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("debug.listen: %w", err)
	}
	token := rand.Text()
	if _, err := fmt.Fprintln(f, token); err != nil {
		return "", errors.Join(fmt.Errorf("debug.listen: %w", err), f.Close())
	}
	return token, f.Close()
}

const debugTokenFile = "debug-token"

func (a *App) putLevel(w http.ResponseWriter, r *http.Request, token string) {
	given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if subtle.ConstantTimeCompare([]byte(given), []byte(token)) != 1 {
		w.Header().Set("WWW-Authenticate", `Bearer realm="keyrounds debug"`)
		http.Error(w, "the token in "+filepath.Join(a.Options.Config.DataDir, debugTokenFile)+" is wanted: Authorization: Bearer TOKEN",
			http.StatusUnauthorized)
		return
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, 16))
	var level slog.Level
	if err != nil || level.UnmarshalText([]byte(strings.TrimSpace(string(text)))) != nil {
		http.Error(w, "debug, info, warn or error is expected", http.StatusBadRequest)
		return
	}
	a.setLevel(level)
	_, _ = fmt.Fprintln(w, a.level())
}

func (a *App) setLevel(l slog.Level) {
	if a.Level == nil || a.Level.Level() == l {
		return
	}
	a.Level.Set(l)
	a.Log.Log(context.Background(), l, "the level of the log is now", "level", l)
}

func (a *App) level() string {
	if a.Level == nil {
		return "fixed"
	}
	return strings.ToLower(a.Level.Level().String())
}
