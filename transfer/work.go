package transfer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/problem"
	"roster/queue"
)

// Imports are carried out in steps, each of which is a transaction that notes how far it has
// come: reading a batch of rows, putting a chunk of them in, taking a chunk back. A server
// that works on an import claims it for a while. If it dies, another one goes on where the
// last step has ended.

const (
	// pollTime is how often a server looks for imports, of which nobody tells it.
	pollTime = 2 * time.Second
	// claimTime is how long an import is left to the server that has just made a step. A step
	// takes much less.
	claimTime = 15 * time.Second
	// atOnce is how many imports a server works on at the same time.
	atOnce = 2
	// restTime is the pause after an error of the database.
	restTime = time.Second
)

// wakeUp makes Work look for imports at once.
func (s *Service) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// Work carries imports out until ctx ends. Several servers share the work.
func (s *Service) Work(ctx context.Context) {
	var working sync.WaitGroup
	defer working.Wait()
	busy := make(chan struct{}, atOnce)
	poll := time.NewTicker(pollTime)
	defer poll.Stop()
	for {
		for len(busy) < cap(busy) {
			worker := uuid.New() // of this claim: an earlier one that has run out is another's
			id := s.claim(ctx, worker)
			if id == nil {
				break
			}
			busy <- struct{}{}
			working.Go(func() {
				s.workOn(ctx, *id, worker)
				<-busy
				s.wakeUp() // there may be more than could be claimed
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-poll.C:
		}
	}
}

// claimText claims an import that nobody works on, the longest neglected first.
const claimText = `
update imports set worker = $1, claimed_until = statement_timestamp() + $2 * interval '1 second'
where id = (select id from imports where status in ('PLANNING', 'APPLYING', 'UNDOING') and claimed_until < statement_timestamp()
	order by claimed_until limit 1 for update skip locked)
returning id`

// claim returns an import that this server is to work on, or nil.
func (s *Service) claim(ctx context.Context, worker uuid.UUID) *db.ImportID {
	id, err := db.SelectOne[db.ImportID](ctx, s.Database, claimText, worker, claimTime.Seconds())
	if err != nil && ctx.Err() == nil {
		s.Log.WarnContext(ctx, "imports cannot be read; it is tried again", "cause", err)
	}
	return id
}

// errNotOurs says that the import has ended, was cancelled, or is another server's by now.
var errNotOurs = errors.New("the import is no longer this server's")

// workOn makes steps of the import until it has ended or is no longer this worker's.
func (s *Service) workOn(ctx context.Context, id db.ImportID, worker uuid.UUID) {
	defer s.release(ctx, id, worker)
	log := s.Log.With("import", id.String())
	j := &job{Service: s, id: id, worker: worker, size: chunkRows}
	for ctx.Err() == nil {
		err := j.step(ctx)
		switch {
		case err == nil:
		case errors.Is(err, errNotOurs), ctx.Err() != nil:
			return
		case isOver(err):
			log.InfoContext(ctx, "an import has failed", "cause", err)
			if err = j.fail(ctx, err); err == nil {
				return
			}
			fallthrough
		default:
			log.WarnContext(ctx, "an import does not get on; it is tried again", "cause", err)
			select {
			case <-ctx.Done():
			case <-time.After(restTime):
			}
		}
	}
}

// isOver reports whether trying again would lead to the same error.
func isOver(err error) bool {
	return len(problem.All(err)) > 0 && !problem.Is(err, problem.Unavailable) && !problem.Is(err, problem.Stale)
}

// release lets other servers go on with an import that this one has not ended.
func (s *Service) release(ctx context.Context, id db.ImportID, worker uuid.UUID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restTime)
	defer cancel()
	_, err := s.unrecorded(ctx).NewRaw("update imports set claimed_until = 'epoch', worker = null where id = ? and worker = ?", id, worker).Exec(ctx)
	if err != nil {
		s.Log.WarnContext(ctx, "an import stays claimed for some seconds", "import", id.String(), "cause", err)
	}
}

// job is an import that this server works on.
type job struct {
	*Service
	id     db.ImportID
	worker uuid.UUID
	// reading is the file while it is read.
	reading *reading
	// size is how many rows the next chunk has. It is halved while something that one of
	// them does is refused, to find out which.
	size int
}

// step reads how far the import has come, and goes on.
func (j *job) step(ctx context.Context) error {
	im, err := db.SelectOne[db.Import](ctx, j.Database, "select * from imports where id = $1 and worker = $2", j.id, j.worker)
	if err != nil {
		return err
	}
	if im == nil {
		return errNotOurs
	}
	ctx, err = j.onBehalf(ctx, im)
	if err != nil {
		return err
	}
	switch im.Status {
	case db.ImportPlanning:
		return j.plan(ctx, im)
	case db.ImportApplying:
		return j.apply(ctx, im)
	case db.ImportUndoing:
		return j.undo(ctx, im)
	}
	return errNotOurs
}

// onBehalf returns a context of the actor on whose authority the import goes on, as they are
// now. It returns FORBIDDEN if they are no more, or may no longer import.
func (j *job) onBehalf(ctx context.Context, im *db.Import) (context.Context, error) {
	at := db.Root
	if im.ActorOrgID != nil {
		at = *im.ActorOrgID
	}
	actor, err := j.Directory.AbsentActor(ctx, im.Actor, at)
	if err != nil {
		return ctx, err
	}
	if actor == nil {
		return ctx, problem.New(problem.Forbidden, "Whoever began this may not act any more.")
	}
	ctx = queue.WithHolders(changes.WithImport(access.WithActor(ctx, actor), im.ID), actor.Holders()...)
	return ctx, mayImport(ctx)
}

// hold locks the import in the transaction of ctx, and claims it anew. It returns errNotOurs if
// it is not in that state any more.
func (j *job) hold(ctx context.Context, status db.ImportStatus) (*db.Import, error) {
	im, err := db.SelectOne[db.Import](ctx, j.Database, `update imports set claimed_until = statement_timestamp() + $4 * interval '1 second'
		where id = $1 and worker = $2 and status = $3 returning *`, j.id, j.worker, status, claimTime.Seconds())
	if err == nil && im == nil {
		err = errNotOurs
	}
	return im, err
}

// end sets the state in which an import ends.
func (j *job) end(ctx context.Context, from, to db.ImportStatus) error {
	return j.Directory.Writer.Atomically(ctx, func(ctx context.Context) error {
		if _, err := j.hold(ctx, from); err != nil {
			return err
		}
		_, err := j.unrecorded(ctx).NewRaw("update imports set status = ?, finished_at = ? where id = ?", to, j.now(), j.id).Exec(ctx)
		return err
	})
}

// fail ends an import by a problem, which whoever looks at it sees.
func (j *job) fail(ctx context.Context, cause error) error {
	p := problem.All(cause)[0]
	kind := p.Kind
	if kind == problem.Unauthenticated || kind == problem.Escalation { // the authority has ended
		kind = problem.Forbidden
	}
	_, err := j.unrecorded(ctx).NewRaw("update imports set status = ?, finished_at = ?, error = ?, error_code = ? where id = ? and worker = ? and status in ('PLANNING', 'APPLYING', 'UNDOING')",
		db.ImportFailed, j.now(), p.Message, kind, j.id, j.worker).Exec(ctx)
	return db.Problem(err)
}
