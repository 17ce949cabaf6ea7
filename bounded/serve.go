package bounded

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/itchyny/gojq"
)

// A worker is this program, whichever it is (the tests' too), begun under the worker's name: it never comes as far as main.
func init() {
	if len(os.Args) == 1 && os.Args[0] == name {
		serve()
		os.Exit(0)
	}
}

// mostKept programs are kept compiled.
const mostKept = 256

// serve answers until nobody asks any more.
func serve() {
	limit()
	debug.SetMemoryLimit(MaxMemory * 3 / 4) // collects more often before there is no more
	debug.SetMaxStack(MaxMemory / 4)
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP) // which all processes of a service get: its main one ends us
	var watch stopwatch
	go watch.run()
	in, programs := bufio.NewReaderSize(os.Stdin, 64<<10), map[string]*gojq.Code{}
	for {
		request, err := readFrame(in, mostRequest)
		if errors.Is(err, errLong) {
			os.Exit(exitMemory)
		}
		if err != nil {
			return
		}
		if len(programs) > mostKept {
			clear(programs)
		}
		watch.begins()
		answer, err := answerTo(request, programs)
		watch.ends()
		if err != nil {
			os.Exit(exitMemory)
		}
		if len(answer) > mostAnswer(len(request)) {
			os.Exit(exitLong)
		}
		if writeFrame(os.Stdout, answer) != nil {
			return
		}
	}
}

// failed is the answer where jq fails before it makes anything.
var failed = []byte(`{"out":[],"end":"failed"}`)

func answerTo(request []byte, programs map[string]*gojq.Code) (answer []byte, err error) {
	defer func() {
		if recover() != nil { // a mistake of jq's
			answer = failed
		}
	}()
	var q struct {
		JQ     string   `json:"jq"`
		Names  []string `json:"names"`
		In     any      `json:"in"`
		Values []any    `json:"values"`
		Most   int      `json:"most"`
	}
	if newDecoder(bytes.NewReader(request)).Decode(&q) != nil {
		return failed, nil
	}
	key := strings.Join(append(q.Names, q.JQ), "\x00")
	code, ok := programs[key]
	if !ok {
		parsed, err := gojq.Parse(q.JQ)
		if err == nil {
			code, err = gojq.Compile(parsed, gojq.WithVariables(q.Names))
		}
		if err != nil {
			return failed, nil
		}
		programs[key] = code
	}
	out, end := []any{}, ""
	for it := code.Run(q.In, q.Values...); len(out) < q.Most; {
		v, more := it.Next()
		if !more {
			break
		}
		if err, is := v.(error); is {
			end = endOf(failure(context.Background(), err))
			break
		}
		out = append(out, v)
	}
	return gojq.Marshal(map[string]any{"out": out, "end": end})
}

func endOf(err error) string {
	switch {
	case errors.Is(err, ErrHalted):
		return "halted"
	case errors.Is(err, errEnded):
		return "ended"
	}
	return "failed"
}

// stopwatch ends the process when a run has taken more time of a processor than it may: by the clock a machine that is busy would
// make a record fail that does not fit less.
type stopwatch struct{ began atomic.Int64 }

func (s *stopwatch) begins() { s.began.Store(int64(processorTime()) + 1) }
func (s *stopwatch) ends()   { s.began.Store(0) }

func (s *stopwatch) run() {
	for range time.Tick(50 * time.Millisecond) {
		if began := s.began.Load(); began != 0 && int64(processorTime())-began > int64(MaxTime) {
			os.Exit(exitTime)
		}
	}
}
