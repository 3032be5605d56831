// Package transfer takes people into the business and out of it in files. The rules of imports
// are here: how a file becomes a plan, and how the plan is carried out and taken back. So are
// those of exports: which users a caller may export, and the columns of a file. The rules about
// people are in package directory.
//
//	Keep ──▶ a file in chunks, PlanImport ──▶ a row of imports ──Work──▶ its rows are judged, put in, taken back, step by step
//	ExportUsers ──▶ a row of exports, and a link ──Redeem──▶ Download ──Write──▶ pages of users, one after the other
//
// Begin with Service.PlanImport in import.go and job.step in work.go, or with
// Service.ExportUsers in export.go. Package transfer/download is the door where
// links are fetched.
package transfer

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/uptrace/bun"

	"roster/db"
	"roster/directory"
	"roster/secret"
)

// Options are what a service needs. All are required unless it says otherwise.
type Options struct {
	Database  *db.DB
	Directory *directory.Directory
	// PublicURL is the public address of this server, without a slash behind it.
	PublicURL string
	Log       *slog.Logger
	// Keyring seals the parameters of hashes that come with a file.
	Keyring *secret.Keyring
	// MaxUpload is the most bytes of a file that is sent, packed or not; 0 means
	// DefaultMaxUpload.
	MaxUpload int64
	// MaxRows is the most rows of a file; 0 means DefaultMaxRows. A row takes a few hundred
	// bytes of the database for a month, however few it had in the file.
	MaxRows int
	// Clock returns the present time; nil means time.Now.
	Clock func() time.Time
}

// Service has the rules of imports and exports.
type Service struct {
	Options
	wake chan struct{}
}

// New returns a service; Work carries imports out, and Sweep deletes what has passed.
func New(o Options) *Service {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	o.MaxUpload, o.MaxRows = cmp.Or(o.MaxUpload, DefaultMaxUpload), cmp.Or(o.MaxRows, DefaultMaxRows)
	return &Service{o, make(chan struct{}, 1)}
}

// now returns the present time, in the precision that the database keeps.
func (s *Service) now() time.Time { return s.Clock().UTC().Truncate(time.Microsecond) }

// unrecorded returns an executor for statements that leave no record; see
// changes.Writer.Unrecorded.
func (s *Service) unrecorded(ctx context.Context) bun.IDB { return s.Directory.Writer.Unrecorded(ctx) }

// Sweep deletes exports that nobody has fetched in time, files that no import has taken over,
// and reports of imports that have ended long ago, until ctx ends.
func (s *Service) Sweep(ctx context.Context) {
	const pause = 10 * time.Minute
	for {
		for _, sweep := range []func(context.Context) error{s.dropOldExports, s.dropLostUploads, s.dropOldRows} {
			if err := sweep(ctx); err != nil && ctx.Err() == nil {
				s.Log.WarnContext(ctx, "what has passed was not deleted", "cause", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (s *Service) dropOldExports(ctx context.Context) error {
	_, err := s.unrecorded(ctx).NewDelete().Model((*db.Export)(nil)).Where("expires_at < ?", s.now()).Exec(ctx)
	return db.Problem(err)
}
