package bounded

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Workers are processes that run jq, one program after the other. There are as many as processors, and those that nobody
// needs for a minute end.
const idle = time.Minute

var pool = struct {
	sync.Mutex
	free  []*worker
	slots chan struct{} // of those at work
}{slots: make(chan struct{}, max(2, runtime.GOMAXPROCS(0)))}

type worker struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	said *lastBytes
	used bool
	idle *time.Timer
}

// ask sends a request to a worker and returns its answer. A worker that ended while it waited is replaced.
func ask(ctx context.Context, request []byte) (string, error) {
	select {
	case pool.slots <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-pool.slots }()
	for {
		w, err := take()
		if err != nil {
			return "", fmt.Errorf("jq cannot be run: %w", err)
		}
		answer, err := w.ask(ctx, request)
		if err == nil {
			give(w)
			return answer, nil
		}
		used, why := w.used, w.end(err)
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		switch {
		case !errors.Is(why, errGone):
			return "", why
		case !used: // a breakdown of jq itself is caught: what else ends it is what it took
			return "", errMemory
		}
	}
}

// errGone says that a worker ended for no reason that it gave, perhaps while it waited.
var errGone = errors.New("the process ended")

func take() (*worker, error) {
	pool.Lock()
	defer pool.Unlock()
	if n := len(pool.free); n > 0 {
		w := pool.free[n-1]
		pool.free = pool.free[:n-1]
		w.idle.Stop()
		w.used = true
		return w, nil
	}
	return launch()
}

func give(w *worker) {
	pool.Lock()
	defer pool.Unlock()
	pool.free = append(pool.free, w)
	w.idle = time.AfterFunc(idle, func() { retire(w) })
}

func retire(w *worker) {
	pool.Lock()
	defer pool.Unlock()
	for i, free := range pool.free {
		if free == w {
			pool.free = append(pool.free[:i], pool.free[i+1:]...)
			go func() { _ = w.end(nil) }()
			return
		}
	}
}

// name is by which this program knows that it is a worker.
const name = "keyrounds-jq"

func launch() (*worker, error) {
	path, err := self()
	if err != nil {
		return nil, err
	}
	w := &worker{cmd: &exec.Cmd{Path: path, Args: []string{name}, Env: environment()}, said: &lastBytes{}}
	w.cmd.Stderr = w.said
	w.cmd.WaitDelay = time.Second
	apart(w.cmd)
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.out = bufio.NewReaderSize(out, 64<<10)
	return w, w.cmd.Start()
}

// environment is nothing of ours but the zone of jq's localtime. A worker that breaks down says so in a line, without what it held.
func environment() []string {
	env := []string{"GOTRACEBACK=none"}
	if zone, ok := os.LookupEnv("TZ"); ok {
		env = append(env, "TZ="+zone)
	}
	return env
}

func (w *worker) ask(ctx context.Context, request []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, mostWaiting)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = w.cmd.Process.Kill() })
	defer stop()
	err := writeFrame(w.in, request)
	if err == nil {
		var answer []byte
		if answer, err = readFrame(w.out, mostAnswer(len(request))); err == nil {
			return string(answer), nil
		}
	}
	if ctx.Err() != nil {
		err = errTime
	}
	return "", err
}

// end ends a worker, and says why it did not answer: by err, where that says it, else by how the process ended.
func (w *worker) end(err error) error {
	_ = w.in.Close()
	if errors.Is(err, errTime) || errors.Is(err, errLong) {
		_ = w.cmd.Process.Kill()
	}
	_ = w.cmd.Wait()
	said := w.said.String()
	switch {
	case errors.Is(err, errTime), w.cmd.ProcessState.ExitCode() == exitTime:
		return errTime
	case errors.Is(err, errLong), w.cmd.ProcessState.ExitCode() == exitLong:
		return errLong
	case w.cmd.ProcessState.ExitCode() == exitMemory,
		strings.Contains(said, "memory"), strings.Contains(said, "stack"), // the words of Go's runtime
		strings.Contains(said, "failed to allocate"): // and of its race detector
		return errMemory
	}
	return errGone
}

// How a worker ends that took too much, and sees it itself.
const (
	exitTime   = 3
	exitMemory = 4
	exitLong   = 5
)

var (
	errTime   = errors.New("it took too long")
	errMemory = errors.New("it took too much memory")
	errLong   = errors.New("the answer is too long")
)

func writeFrame(w io.Writer, text []byte) error {
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(text)), uint32(len(text)))
	_, err := w.Write(append(frame, text...))
	return err
}

func readFrame(r io.Reader, most int) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if uint64(n) > uint64(most) {
		return nil, errLong
	}
	text := make([]byte, n)
	_, err := io.ReadFull(r, text)
	return text, err
}

// lastBytes keeps the beginning of what is written, where Go's runtime says why a process ended.
type lastBytes struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lastBytes) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Write(b[:min(len(b), max(0, 4<<10-l.b.Len()))])
	return len(b), nil
}

func (l *lastBytes) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
