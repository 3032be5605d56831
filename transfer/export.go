package transfer

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"time"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/directory"
	"roster/problem"
	"roster/queue"
	"roster/secret"
)

// ExportUsersInput says which users are exported, and how.
type ExportUsersInput struct {
	Format db.ExportFormat
	// Organization is the one whose members are exported, with nothing of where else they
	// belong; nil means all users.
	Organization *directory.OrganizationRef
	// Hashes is true if the file has the hashes of passwords.
	Hashes bool
}

// Export is a link by which users are fetched, once.
type Export struct {
	Link      secret.Text
	ExpiresAt time.Time
}

// URL returns the link, as the answer to whoever asked for it shows it.
func (e *Export) URL() string { return e.Link.Reveal() }

// linkLife is how long a link works.
const linkLife = 5 * time.Minute

// exportNeeds are the permissions that it takes to read what an export has.
var exportNeeds = []access.Permission{access.UsersRead, access.MembersRead, access.OrganizationsRead, access.RolesRead}

// ExportUsers returns a link to a file with users. The actor must be allowed to read all that
// it has: for the business, or in the organization if it is about one. The hashes of passwords
// need roster:hashes:read for the business as a whole, since a password is good for everything
// that its person does.
func (s *Service) ExportUsers(ctx context.Context, in ExportUsersInput) (*Export, error) {
	for _, need := range exportNeeds {
		if _, err := access.ScopeOf(ctx, need); err != nil {
			return nil, err
		}
	}
	actor := access.ActorOf(ctx)
	e := &db.Export{CreatedBy: actor.String(), Format: in.Format, Hashes: in.Hashes}
	var err error
	if e.OrgID, err = s.organization(ctx, in.Organization); err != nil {
		return nil, err
	}
	if err := mayExport(actor, e); err != nil {
		return nil, err
	}
	of := newExportName()
	e.Hash = of.hash()
	err = s.Directory.Writer.Write(ctx, e.CreatedBy, func(ctx context.Context, w *changes.Write) error {
		e.ExpiresAt = s.now().Add(linkLife)
		if _, err := w.NewInsert().Model(e).Exec(ctx); err != nil {
			return err
		}
		return w.Record(changes.UsersExported, changes.UsersSubject, e.OrgID, nil, changes.Values{"format": e.Format, "organization": e.OrgID, "hashes": e.Hashes})
	})
	if err != nil {
		return nil, err
	}
	return &Export{Link: secret.New(s.PublicURL + ExportsPath + of.text()), ExpiresAt: e.ExpiresAt}, nil
}

// organization returns the id of the organization that the actor may see, or nil if the
// reference is nil.
func (s *Service) organization(ctx context.Context, ref *directory.OrganizationRef) (*db.OrganizationID, error) {
	if ref == nil {
		return nil, nil
	}
	org, err := s.Directory.Organization(ctx, *ref, nil)
	switch {
	case err != nil:
		return nil, err
	case org == nil || org.ID == db.Root: // nobody belongs to the business as a whole alone
		return nil, problem.At(problem.NotFound, "input.organization", "There is no such organization.")
	}
	return &org.ID, nil
}

// mayExport returns FORBIDDEN unless the actor may read all that the export has.
func mayExport(actor *access.Actor, e *db.Export) error {
	for _, need := range exportNeeds {
		if e.OrgID == nil && !actor.HoldsEverywhere(need) || e.OrgID != nil && !actor.Holds(need, *e.OrgID) {
			return access.Forbidden(need)
		}
	}
	if e.Hashes && !actor.HoldsEverywhere(access.HashesRead) {
		return access.Forbidden(access.HashesRead)
	}
	return nil
}

// NoExport returns the problem of every link that leads to nothing: unknown, used already,
// expired, or of somebody who may no longer export what they asked for.
func NoExport() error {
	return problem.New(problem.NotFound, "This link has been used, has expired, or never was one. Ask for a new export.")
}

// Exists reports whether the link with that secret was made and not used, and has not
// expired.
func (s *Service) Exists(ctx context.Context, shown secret.Text) (bool, error) {
	of, ok := parseExportName(shown)
	if !ok {
		return false, nil
	}
	found, err := db.SelectOne[bool](ctx, s.Database, "select true from exports where hash = $1 and expires_at > $2", of.hash(), s.now())
	return found != nil, err
}

// Redeem uses up the link with that secret, and returns what it leads to. It returns the
// problem of NoExport for every link that leads to nothing.
func (s *Service) Redeem(ctx context.Context, shown secret.Text) (*Download, error) {
	of, ok := parseExportName(shown)
	if !ok {
		return nil, NoExport()
	}
	d := &Download{service: s}
	_, err := s.Directory.Writer.Unrecorded(ctx).NewDelete().Model(&d.export).Where("hash = ? and expires_at > ?", of.hash(), s.now()).Returning("*").Exec(ctx, &d.export)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, NoExport()
	}
	if err != nil {
		return nil, db.Problem(err)
	}
	d.At = s.now()
	_, err = d.actor(ctx)
	return d, err
}

// Download is an export whose link somebody has used.
type Download struct {
	// At is when the link was used.
	At      time.Time
	service *Service
	export  db.Export
}

// Format returns the format of the file.
func (d *Download) Format() db.ExportFormat { return d.export.Format }

// actor returns whoever asked for the export, as they are now. It returns the problem of
// NoExport if they are no more, or may no longer export all of it.
func (d *Download) actor(ctx context.Context) (*access.Actor, error) {
	at := db.Root // the business
	if d.export.OrgID != nil {
		at = *d.export.OrgID
	}
	actor, err := d.service.Directory.AbsentActor(ctx, d.export.CreatedBy, at)
	switch {
	case err != nil:
		return nil, err
	case actor == nil || mayExport(actor, &d.export) != nil:
		return nil, NoExport()
	}
	return actor, nil
}

// pageSize is how many users are read at a time.
const pageSize = 1000

// Write writes the file to w, page by page, in the order in which the users were made. Whoever
// asked for it is looked at again before each page: Write returns the problem of NoExport once
// they may no longer export it, and the file ends there.
//
// A page is one statement, and no connection to the database is held while it is written. So
// each user is as they were at one moment, and two users may be as they were at different
// ones: a user who is made meanwhile may be in the file, and one who is deleted may not.
func (d *Download) Write(ctx context.Context, w io.Writer) error {
	file := newExportFile(w, &d.export)
	last := db.UserID{}
	for {
		actor, err := d.actor(ctx)
		if err != nil {
			return err
		}
		page, err := d.page(queue.WithHolders(ctx, actor.Holders()...), last)
		if err != nil {
			return err
		}
		for i := range page {
			if err := file.write(&page[i]); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return file.close()
		}
		last = page[len(page)-1].ID
	}
}
