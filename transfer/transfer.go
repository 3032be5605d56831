// Package transfer takes people out of the business in files. It has the rules of exports:
// who may take out whom, and what a file has. What people are, and where they belong, is the
// business of package directory.
//
//	ExportUsers ──▶ a row of exports, and a link ──Redeem──▶ Download ──Write──▶ pages of users, one after the other
//
// Begin with Service.ExportUsers in export.go. Package transfer/download is the door where
// links are fetched.
package transfer

import (
	"context"
	"log/slog"
	"time"

	"roster/db"
	"roster/directory"
)

// Options are what a service needs. All are required unless it says otherwise.
type Options struct {
	Database  *db.DB
	Directory *directory.Directory
	// PublicURL is the public address of this server, without a slash behind it.
	PublicURL string
	Log       *slog.Logger
	// Clock returns the present time; nil means time.Now.
	Clock func() time.Time
}

// Service has the rules of exports.
type Service struct{ Options }

// New returns a service; Sweep deletes what has passed.
func New(o Options) *Service {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return &Service{o}
}

// now returns the present time, in the precision that the database keeps.
func (s *Service) now() time.Time { return s.Clock().UTC().Truncate(time.Microsecond) }

// Sweep deletes exports that nobody has fetched in time, until ctx ends.
func (s *Service) Sweep(ctx context.Context) {
	const pause = 10 * time.Minute
	for {
		_, err := s.Directory.Writer.Unrecorded(ctx).NewDelete().Model((*db.Export)(nil)).Where("expires_at < ?", s.now()).Exec(ctx)
		if err != nil && ctx.Err() == nil {
			s.Log.WarnContext(ctx, "exports that have expired were not deleted", "cause", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
