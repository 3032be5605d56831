package pages

import (
	"fmt"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"roster/db"
	"roster/directory"
	"roster/problem"
	"roster/signin"
)

// account is what the page of the account shows.
type account struct {
	Person        *db.User
	HasPassword   bool
	Organizations []membership
	Sessions      []session
	// Identities are the ways in which the person signs in, and Linkable leads to those that
	// could be added.
	Identities []identity
	Linkable   []link
}

// membership is an organization that the person belongs to.
type membership struct {
	ID, Name string
	// Here is true of the one that the session uses.
	Here bool
	// Only is true if there is no other one.
	Only bool
}

// session is a session of the person.
type session struct {
	ID, Device, Details string
	// Current is true of the session that asks.
	Current bool
}

func (r *request) viewAccount() (*view, error) {
	var err error
	a := &account{HasPassword: r.settings.AllowPasswordSignIn}
	if a.Person, err = r.user(); err != nil {
		return nil, err
	}
	if a.Organizations, err = r.memberships(); err != nil {
		return nil, err
	}
	if a.Sessions, err = r.sessions(); err != nil {
		return nil, err
	}
	if a.Identities, a.Linkable, err = r.identities(a.Person.Email); err != nil {
		return nil, err
	}
	return &view{template: "account", Title: "Your account", Account: a}, nil
}

// user returns the person who is signed in.
func (r *request) user() (*db.User, error) {
	rows, err := r.pages.Directory.UsersByID(r.ctx, []db.UserID{*r.person.User}, nil)
	if err == nil && len(rows) == 0 {
		err = problem.New(problem.NotFound, "This account does not exist any more.")
	}
	if err != nil {
		return nil, err
	}
	return &rows[0], nil
}

func (r *request) memberships() ([]membership, error) {
	ids, err := r.pages.Directory.ViewerOrganizations(r.ctx)
	if err != nil {
		return nil, err
	}
	organizations, err := r.organizations(ids)
	all := make([]membership, len(organizations))
	for i, org := range organizations {
		all[i] = membership{ID: org.ID.String(), Name: org.Name, Here: r.person.Organization != nil && *r.person.Organization == org.ID, Only: len(organizations) == 1}
	}
	return all, err
}

func (r *request) sessions() ([]session, error) {
	rows, err := r.pages.SignIn.OwnSessions(r.ctx)
	all := make([]session, len(rows))
	now := r.pages.SignIn.Clock()
	for i, row := range rows {
		s := session{ID: row.ID.String(), Device: "Unknown device", Current: row.ID == r.person.Session.ID}
		if row.Device != nil {
			s.Device = *row.Device
		}
		details := []string{"Last used " + ago(now.Sub(row.LastUsedAt)), "signed in " + ago(now.Sub(row.CreatedAt))}
		if row.Address != nil {
			details = append(details, "from "+*row.Address)
		}
		s.Details = strings.Join(details, ", ")
		all[i] = s
	}
	return all, err
}

// ago says how long ago something was. It is in words, since the server does not know the
// time zone of the person.
func ago(past time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		switch n := int(past / unit.length); {
		case n == 1:
			return "1 " + unit.name + " ago"
		case n > 1:
			return fmt.Sprintf("%d %ss ago", n, unit.name)
		}
	}
	return "just now"
}

// back leads back to the page of the account.
var back = link{accountPath, "Back to your account"}

func (r *request) viewProfile() (*view, error) {
	user, err := r.user()
	if err != nil {
		return nil, err
	}
	return &view{
		Title: "Edit your profile", Submit: "Save", Links: []link{back},
		Fields: []*field{
			{Name: "givenName", Label: "Given name", Autocomplete: "given-name", Value: orEmpty(user.GivenName)},
			{Name: "familyName", Label: "Family name", Autocomplete: "family-name", Value: orEmpty(user.FamilyName)},
			{Name: "username", Label: "Username", Autocomplete: "username", Value: orEmpty(user.Username), Hint: "To sign in with, in place of your address."},
			{Name: "phone", Label: "Phone number", Type: "tel", Autocomplete: "tel", Value: orEmpty(user.Phone), Hint: "With the code of the country, such as +49 30 123456."},
			{Name: "pictureUrl", Label: "Address of your picture", Type: "url", Autocomplete: "photo", Inputmode: "url", Value: orEmpty(user.PictureURL)},
		},
	}, nil
}

// updateProfile changes the fields that were sent; what is empty is taken away.
func (r *request) updateProfile() (string, error) {
	value := func(name string) graphql.Omittable[*string] {
		if r.sent(name) == nil {
			return graphql.Omittable[*string]{}
		}
		return graphql.OmittableOf(r.filled(name))
	}
	_, err := r.pages.Directory.UpdateViewer(r.ctx, directory.UpdateViewerInput{
		GivenName: value("givenName"), FamilyName: value("familyName"), Username: value("username"), Phone: value("phone"), PictureURL: value("pictureUrl"),
	})
	if err != nil {
		return "", err
	}
	return r.done("profile", accountPath), nil
}

func (r *request) viewEmail() (*view, error) {
	return &view{
		Title: "Change your email address", Submit: "Mail a code there", Text: "We mail a code to the new address. The address changes when you have entered it.",
		Fields: []*field{{Name: "email", Label: "New email address", Type: "email", Autocomplete: "email", Inputmode: "email", Required: true}}, Links: []link{back},
	}, nil
}

func (r *request) requestEmailChange() (string, error) {
	email := strings.TrimSpace(r.form.Get("email"))
	step, err := r.pages.SignIn.RequestEmailChange(r.ctx, email)
	if err != nil {
		return "", err
	}
	return r.begin(emailCodePath, step, email), nil
}

func (r *request) viewEmailCode() (*view, error) {
	if _, err := r.ticket(); err != nil {
		return nil, err
	}
	v := r.codeView("Enter the code")
	v.Submit, v.Links = "Change my address", []link{{emailPath, "Begin again"}, back}
	return v, nil
}

func (r *request) confirmEmailChange() (string, error) {
	ticket, err := r.ticket()
	if err != nil {
		return "", err
	}
	if _, err := r.pages.SignIn.ConfirmEmailChange(r.ctx, signin.ConfirmEmailChangeInput{Ticket: ticket, Code: r.form.Get("code")}); err != nil {
		return "", err
	}
	return r.done("email", accountPath), nil
}

// chosen returns the organization that a form of the account names.
func (r *request) chosen() directory.OrganizationRef {
	id := r.form.Get(organizationKey)
	return directory.OrganizationRef{ID: &id}
}

func (r *request) switchOrganization() (string, error) {
	if _, err := r.pages.SignIn.SwitchOrganization(r.ctx, r.chosen()); err != nil {
		return "", err
	}
	return r.done("switched", accountPath), nil
}

// viewLeave asks whether the person means it.
func (r *request) viewLeave() (*view, error) {
	all, err := r.memberships()
	if err != nil {
		return nil, err
	}
	id := r.http.URL.Query().Get(organizationKey)
	if r.form != nil {
		id = r.form.Get(organizationKey)
	}
	for _, one := range all {
		if one.ID == id {
			return &view{
				Title: "Leave " + one.Name + "?", Text: "You lose what you may do there. Only somebody who administers it can let you in again.",
				Submit: "Leave the organization", Dangerous: true, Fields: []*field{{Name: organizationKey, Value: id, Hidden: true}}, Links: []link{back},
			}, nil
		}
	}
	return nil, problem.New(problem.NotFound, "You belong to no such organization.")
}

func (r *request) leaveOrganization() (string, error) {
	if _, err := r.pages.Directory.LeaveOrganization(r.ctx, directory.LeaveOrganizationInput{Organization: r.chosen()}); err != nil {
		return "", err
	}
	return r.done("left", accountPath), nil
}

func (r *request) endSession() (string, error) {
	if _, err := r.pages.SignIn.EndSession(r.ctx, r.form.Get("session")); err != nil {
		return "", err
	}
	return r.done("ended", accountPath), nil
}

// viewSignOut asks whether the person means it, whom an application has sent here.
func (r *request) viewSignOut() (*view, error) {
	return &view{Title: "Sign out?", Text: "This also signs you out of the applications that you signed in to from here.", Submit: "Sign out", Links: []link{back}}, nil
}

func (r *request) signOut() (string, error)           { return r.endSessions(false) }
func (r *request) signOutEverywhere() (string, error) { return r.endSessions(true) }

// endSessions signs the person out. It succeeds also for somebody who is signed out
// already.
func (r *request) endSessions(everywhere bool) (string, error) {
	if r.person != nil {
		if _, err := r.pages.SignIn.SignOut(r.ctx, everywhere); err != nil {
			return "", err
		}
	}
	if r.http.URL.Query().Has(returnToName) && r.returnTo != "" {
		return r.returnTo, nil
	}
	return r.done("signedOut", Path), nil
}
