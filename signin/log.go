package signin

import (
	"context"
	"strings"

	"github.com/mileusna/useragent"

	"roster/db"
	"roster/problem"
)

// The methods by which people sign in, as sessions and the log of sign-ins name them.
const (
	methodPassword   = "password"
	methodCode       = "code"
	methodInvitation = "invitation"
)

// note writes a refused attempt into the log of sign-ins, if it is one, and returns the
// refusal. The transaction of the attempt is over.
func (s *Service) note(ctx context.Context, f *flow, method string, refusal error) error {
	problems := problem.All(refusal)
	if len(problems) == 0 || method == "" {
		return refusal
	}
	row := s.signIn(ctx, method)
	row.UserID, row.Reason = f.UserID, new(string(problems[0].Kind))
	if _, err := s.Directory.Writer.Unrecorded(ctx).NewInsert().Model(row).Exec(ctx); err != nil {
		s.Log.WarnContext(ctx, "a refused sign-in is not on record", "cause", err)
	}
	return refusal
}

// noteSession writes the start of a session into the log of sign-ins.
func (s *Service) noteSession(ctx context.Context, session *db.Session) error {
	row := s.signIn(ctx, strings.Join(session.Methods, "+"))
	row.UserID, row.OrgID, row.Succeeded = &session.UserID, session.OrgID, true
	row.Device, row.Address = session.Device, session.Address // of the browser, where an application asks
	_, err := s.Directory.Writer.Unrecorded(ctx).NewInsert().Model(row).Exec(ctx)
	return err
}

func (s *Service) signIn(ctx context.Context, method string) *db.SignIn {
	visit := visitOf(ctx)
	return &db.SignIn{
		ID: db.NewID[db.SignInKind](), At: s.now(), Method: method, Address: nonEmpty(visit.Address), Device: deviceOf(visit.UserAgent),
	}
}

// The longest header User-Agent that is read, and the longest name of a device, in bytes.
const (
	maxUserAgent = 1000
	maxDevice    = 100
)

// deviceOf returns a name such as "Firefox on Linux", or nil for a client that says
// nothing.
func deviceOf(userAgent string) *string {
	if userAgent == "" || len(userAgent) > maxUserAgent {
		return nil
	}
	agent := useragent.Parse(userAgent)
	name := strings.ToValidUTF8(strings.Map(printable, agent.Name), "")
	if agent.OS != "" {
		name += " on " + agent.OS
	}
	if name == "" || len(name) > maxDevice {
		return nil
	}
	return &name
}

func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return -1
	}
	return r
}
