package rounds

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/keyrounds/keyrounds/checker"
	"github.com/keyrounds/keyrounds/credential"
	"github.com/keyrounds/keyrounds/postgres"
	"github.com/keyrounds/keyrounds/secret"
	"github.com/keyrounds/keyrounds/verdict"
)

// Rules of checks that a person asks for:
//
//  1. Where a daemon lives, it makes them, with the secrets that it reads: those of a shell may be older, or none.
//  2. Where none lives, this process makes them. What it cannot read is shown, and not recorded: it says nothing of
//     what a daemon reads.
//  3. They are judged and recorded like all others.

// CheckNow checks credentials at once, whatever their schedules say, and judges and records the results like any
// round. A daemon makes the checks, if one lives. each gets the results as they come, called in this goroutine; what
// this process, being no daemon, could not read is among them, with the status Unknown, and is not recorded.
//
// It ends early when ctx does or the daemon stops: what this process has begun by then is checked and recorded. A provider that
// may not be asked now (*NotNowError), asks for a pause or is passive (ErrNotExchanged) is an error at the end, which names what was not
// checked; the credentials of the others are checked all the same. Any other error ends it at once.
func (r *Rounds) CheckNow(ctx context.Context, creds []credential.Credential, each func([]Judged)) error {
	return r.checkNow(ctx, byHand, creds, each)
}

// checkNow is CheckNow for a purpose; a daemon knows of one only.
func (r *Rounds) checkNow(ctx context.Context, why Purpose, creds []credential.Credential, each func([]Judged)) error {
	creds = slices.Clone(creds)
	slices.SortFunc(creds, func(a, b credential.Credential) int { return a.NextCheck.Compare(b.NextCheck) })
	todo := batches(creds, r.settings.Load().Providers)
	var refused []error // providers that may not be asked; the others are
	todo = slices.DeleteFunc(todo, func(b batch) bool {
		if b.provider.Passive {
			refused = append(refused, fmt.Errorf("the provider %q is passive: %w", b.provider.Name, ErrNotExchanged))
		}
		return b.provider.Passive
	})
	check := func(ctx context.Context, b batch) ([]Judged, error) { return r.checkHere(ctx, why, b) }
	lives, err := r.DaemonLives(ctx)
	if err != nil {
		return err
	}
	if lives {
		here := check
		check = func(ctx context.Context, b batch) ([]Judged, error) {
			judged, err := r.handOver(ctx, b)
			if errors.Is(err, errDaemonEnded) { // it was killed, and counted as alive until now
				return here(ctx, b)
			}
			return judged, err
		}
	}
	for len(todo) > 0 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b := todo[0]
		judged, err := check(ctx, b)
		var notNow *NotNowError
		if errors.As(err, &notNow) {
			refused = append(refused, fmt.Errorf("%w; not checked: %s", err, names(b.creds)))
			todo = todo[1:]
			continue
		}
		if err != nil {
			return errors.Join(append(refused, err)...)
		}
		each(judged)
		if b.creds = unchecked(b.creds, judged); len(b.creds) == 0 {
			todo = todo[1:]
			continue
		}
		if pause := asked(judged); pause > checker.LongestPause {
			until := &NotNowError{Provider: b.provider.Name, Until: r.Now().Add(pause), Why: "asks us to stay away"}
			refused = append(refused, fmt.Errorf("%w; not checked: %s", until, names(b.creds)))
			todo = todo[1:]
			continue
		}
		select { // a slow provider: the batch had its time, and gets another
		case <-ctx.Done():
			return ctx.Err()
		case <-r.stopping:
			return context.Canceled
		default:
			todo[0] = b
		}
	}
	return errors.Join(refused...)
}

// names are the names of credentials, of many the first ones.
func names(creds []credential.Credential) string {
	const most = 10
	var all []string
	for _, c := range creds[:min(most, len(creds))] {
		all = append(all, c.Name)
	}
	if n := len(creds) - most; n > 0 {
		all = append(all, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(all, ", ")
}

// checkHere checks a batch in this process. It begins no further check when ctx ends. Those under way end, in the time that a request
// has, and are recorded: they were made, and count at the provider.
func (r *Rounds) checkHere(ctx context.Context, why Purpose, b batch) ([]Judged, error) {
	stop, end := r.stopSignal()
	defer end()
	stop, over := either(stop, ctx.Done())
	defer over()
	ctx, cancel := withGrace(ctx, graceTime)
	defer cancel()
	return r.work(ctx, Order{Purpose: why, Provider: b.provider.Name, Credentials: b.creds, Stop: stop})
}

// graceTime is what a check that is under way has to end and to be stored.
const graceTime = checker.Timeout + storeTimeout

// withGrace is a context that ends so long after ctx does.
func withGrace(ctx context.Context, by time.Duration) (context.Context, func()) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(by):
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() { stop(); cancel() }
}

// asked is the longest pause that the provider asked for.
func asked(judged []Judged) (pause time.Duration) {
	for _, j := range judged {
		pause = max(pause, j.Result.RetryAfter)
	}
	return pause
}

func unchecked(creds []credential.Credential, judged []Judged) []credential.Credential {
	return slices.DeleteFunc(slices.Clone(creds), func(c credential.Credential) bool {
		return slices.ContainsFunc(judged, func(j Judged) bool { return j.Result.CredentialID == c.ID })
	})
}

// DaemonLives reports whether some daemon leads: one that was killed counts for 15 s more.
func (r *Rounds) DaemonLives(ctx context.Context) (lives bool, err error) {
	err = r.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM river_leader WHERE expires_at > now())`).Scan(&lives)
	return lives, err
}

// tellsOfDaemon reports whether what this process reads is what a daemon reads: beside one, an environment of a
// shell may hold an older secret.
func (r *Rounds) tellsOfDaemon(ctx context.Context, refs ...secret.Reference) bool {
	if r.Daemon || !slices.ContainsFunc(refs, secret.Reference.OfProcess) {
		return true
	}
	r.looked.Do(func() {
		lives, err := r.DaemonLives(ctx)
		r.beside = lives || err != nil
	})
	return !r.beside
}

// byHandArgs is a batch that a person asked a daemon to check.
type byHandArgs struct {
	Provider      string  `json:"provider"`
	CredentialIDs []int64 `json:"credential_ids"`
}

func (byHandArgs) Kind() string { return "check_by_hand" }

// InsertOpts has it tried once: whoever asked waits for it, and asks again where it fails.
func (byHandArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: byHandQueue, MaxAttempts: 1}
}

type byHandWorker struct {
	river.WorkerDefaults[byHandArgs]
	rounds *Rounds
}

// handed is what a daemon answers.
type handed struct {
	Results  []checker.Result `json:"results,omitempty"`
	Statuses []verdict.Status `json:"statuses,omitempty"` // of the credentials of Results
	NotNow   *NotNowError     `json:"not_now,omitempty"`
	Error    string           `json:"error,omitempty"` // why nothing was checked
}

func (h *handed) add(judged []Judged) {
	for _, j := range judged {
		h.Results, h.Statuses = append(h.Results, j.Result), append(h.Statuses, j.State.Status)
	}
}

// judged is what was added, of a state only the status.
func (h handed) judged() (all []Judged) {
	for i, res := range h.Results[:min(len(h.Results), len(h.Statuses))] {
		all = append(
			all,
			Judged{
				res,
				verdict.State{CredentialID: res.CredentialID, Credential: res.Credential, Provider: res.Provider, Status: h.Statuses[i]},
			},
		)
	}
	return all
}

func (w *byHandWorker) Work(ctx context.Context, job *river.Job[byHandArgs]) error {
	creds, err := w.rounds.Registry.Active(ctx, job.Args.CredentialIDs)
	if err != nil {
		return err
	}
	asked := ctx // until whoever asked takes it back
	ctx, done := w.rounds.outlive(ctx)
	defer done()
	order := Order{Purpose: byHand, Provider: job.Args.Provider, Credentials: creds, Stop: asked.Done()}
	order.Purpose.Patience = patience // whoever waits asks again
	judged, err := w.rounds.work(ctx, order)
	var answer handed
	answer.add(judged)
	if err != nil && !errors.As(err, &answer.NotNow) {
		answer.Error = postgres.Plain(err).Error() // it is stored, and shown to whoever asked
	}
	return river.RecordOutput(ctx, answer)
}

// handOver has a daemon check a batch, and waits for it.
func (r *Rounds) handOver(ctx context.Context, b batch) ([]Judged, error) {
	for end := time.Now().Add(byHand.Patience); ; {
		answer, err := r.handOnce(ctx, b)
		if err != nil {
			return nil, err
		}
		switch {
		case ctx.Err() != nil && len(answer.Results) > 0: // interrupted: these were under way
			return answer.judged(), nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case answer.Error != "":
			return nil, errors.New(answer.Error)
		case answer.NotNow == nil && len(answer.Results) == 0:
			return nil, fmt.Errorf(
				"%d credentials of the provider %q were not checked: they were retired meanwhile, or the daemon is stopping",
				len(b.creds), b.provider.Name,
			)
		case answer.NotNow == nil:
			return answer.judged(), nil
		case !answer.NotNow.Until.IsZero() || time.Now().After(end):
			return nil, answer.NotNow
		}
	}
}

const (
	// A daemon that lives takes a job within this time, unless it makes other checks by hand.
	handOverTime = 5 * time.Minute
	handOverLook = 50 * time.Millisecond
)

func (r *Rounds) handOnce(ctx context.Context, b batch) (answer handed, err error) {
	asked := ctx
	ctx, cancel := context.WithTimeout(ctx, handOverTime)
	defer cancel()
	// Whoever gives up just now still learns its number, and takes it back.
	inserting, inserted := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer inserted()
	made, err := r.client.Insert(inserting, byHandArgs{b.provider.Name, b.ids()}, nil)
	if err != nil {
		return answer, err
	}
	id := made.Job.ID
	defer func() {
		if err != nil { // nobody waits for it any more
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			_, _ = r.client.JobCancel(ctx, id)
		}
	}()
	for {
		job, err := r.client.JobGet(ctx, id)
		if err != nil {
			return answer, err
		}
		switch job.State {
		case rivertype.JobStateCompleted:
			return answer, json.Unmarshal(job.Output(), &answer)
		case rivertype.JobStateDiscarded, rivertype.JobStateCancelled:
			return answer, errors.New("the daemon that made the check failed; its log says why")
		case rivertype.JobStateAvailable:
			lives, err := r.DaemonLives(ctx)
			if err == nil && !lives {
				err = errDaemonEnded
			}
			if err != nil {
				return answer, err
			}
		}
		if err := r.pass(ctx, handOverLook); err != nil {
			if asked.Err() != nil {
				return r.takeBack(asked, id)
			}
			return answer, fmt.Errorf("no daemon made the check: %w", err)
		}
	}
}

// errDaemonEnded: the daemon to which a batch was handed over ended before it began with it.
var errDaemonEnded = errors.New("the daemon ended before it made the check; ask again")

// takeBack has a daemon begin nothing more of what was handed over, and returns what was under way once that has ended.
func (r *Rounds) takeBack(asked context.Context, id int64) (answer handed, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(asked), graceTime+storeTimeout)
	defer cancel()
	if _, err := r.client.JobCancel(ctx, id); err != nil {
		return answer, err
	}
	for {
		job, err := r.client.JobGet(ctx, id)
		if err != nil {
			return answer, err
		}
		if job.FinalizedAt != nil {
			if output := job.Output(); output != nil {
				err = json.Unmarshal(output, &answer)
			}
			return answer, err
		}
		select {
		case <-ctx.Done():
			return answer, asked.Err()
		case <-time.After(handOverLook):
		}
	}
}
