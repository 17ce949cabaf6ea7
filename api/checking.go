package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/google/uuid"

	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/rounds"
)

// maxNames bounds a body that names credentials, in bytes: 100,000 of them.
const maxNames = 8 << 20

// ChecksIn names what is to be checked.
type ChecksIn struct {
	Names []string `json:"names,omitempty" nullable:"false" maxItems:"100000" doc:"These credentials; without it, all."`
	Trace bool     `json:"trace,omitempty" doc:"Also say how each answer was read."`
	First bool     `json:"first,omitempty" doc:"Only say what comes of the first checks of these, within half a minute."`
}

type checksOfIn struct{ Body ChecksIn }

// CheckLine is a line of what came of checks. The first one has the run, by which it can be stopped, and how many are to be checked; the
// last one has a problem, where not all were checked.
type CheckLine struct {
	Run     string     `json:"run,omitempty"`
	Total   int        `json:"total,omitempty"`
	Check   *CheckJSON `json:"check,omitempty"`
	Problem *Problem   `json:"problem,omitempty"`
}

// checkCredentials checks many now, and writes a line for each as it comes.
func (s *server) checkCredentials(ctx context.Context, in *checksOfIn) (*exported, error) {
	creds, err := s.toCheck(ctx, in.Body.Names)
	if err != nil {
		return nil, err
	}
	return &exported{func(c huma.Context) {
		_, w := humago.Unwrap(c)
		w.Header().Set("Content-Type", "application/jsonl")
		w.Header().Set("X-Accel-Buffering", "no") // of nginx
		run, stop := context.WithCancel(ctx)
		defer stop()
		id := s.runs.add(asking(ctx).Name, stop)
		defer s.runs.remove(id)
		out := checkLines{w: w, rc: http.NewResponseController(w), gone: stop}
		out.write(CheckLine{Run: id, Total: len(creds)})
		each := func(js []rounds.Judged) {
			for _, j := range js {
				line := NewCheckJSON(j)
				if in.Body.Trace {
					line.Trace = orEmpty(j.Result.Trace)
				}
				out.write(CheckLine{Check: &line})
			}
		}
		var err error
		if in.Body.First {
			err = s.Actions.First(run, in.Body.Names, each)
		} else {
			err = s.Actions.CheckFor(run, asking(ctx).Name, creds, each)
		}
		if err != nil && run.Err() == nil {
			out.write(CheckLine{Problem: s.problemOf(ctx, "checkCredentials", askable(err))})
		}
	}}, nil
}

// toCheck are the credentials of these names, or all that are not retired, of those that whoever asks may see.
func (s *server) toCheck(ctx context.Context, names []string) (creds []credential.Credential, err error) {
	if names == nil {
		creds, err = s.Registry.List(ctx, false)
	} else {
		creds, err = s.Registry.Named(ctx, slices.Compact(slices.Sorted(slices.Values(names))))
	}
	if err != nil {
		return nil, err
	}
	who := asking(ctx)
	creds = slices.DeleteFunc(creds, func(c credential.Credential) bool { return !who.Sees(c.Owner) })
	for _, name := range names {
		at := slices.IndexFunc(creds, func(c credential.Credential) bool { return c.Name == name })
		switch {
		case at < 0:
			return nil, wrongly(Wrong{"body.names", fmt.Sprintf("No credential %q is registered, or none for you.", clean(name))})
		case !creds[at].Retired.IsZero():
			return nil, problem(http.StatusConflict, name+" was retired: it is not checked any more.")
		}
	}
	return creds, nil
}

// checkLines writes lines, each with a time of its own; gone is called once nobody reads them.
type checkLines struct {
	w    http.ResponseWriter
	rc   *http.ResponseController
	gone func()
}

func (l checkLines) write(line CheckLine) {
	_ = l.rc.SetWriteDeadline(time.Now().Add(writeEvent))
	err := json.NewEncoder(l.w).Encode(line)
	if err == nil {
		err = l.rc.Flush()
	}
	if err != nil {
		l.gone()
	}
}

// runs are the checks that people asked for here, while they last.
type runs struct {
	mu  sync.Mutex
	all map[string]run
}

type run struct {
	by   string
	stop func()
}

func (r *runs) add(by string, stop func()) (id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[string]run{}
	}
	id = uuid.NewString()
	r.all[id] = run{by, stop}
	return id
}

func (r *runs) remove(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, id)
}

// end stops a run of who asks; false: he has none of this id.
func (r *runs) end(id, by string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	one, ok := r.all[id]
	if ok = ok && one.by == by; ok {
		one.stop()
	}
	return ok
}

type runOf struct {
	ID string `path:"id" maxLength:"60" doc:"The run, as its first line says."`
}

// StoppedRun says which run was stopped.
type StoppedRun struct {
	Run string `json:"run"`
}

type stoppedRun struct{ Body StoppedRun }

// stopChecks has a run begin no further check; those under way end, and their lines are written.
func (s *server) stopChecks(ctx context.Context, in *runOf) (*stoppedRun, error) {
	if !s.runs.end(in.ID, asking(ctx).Name) {
		return nil, problem(http.StatusNotFound, "No such checks of yours are under way here.")
	}
	return &stoppedRun{StoppedRun{in.ID}}, nil
}
