package pages

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"roster/access"
	"roster/db"
	"roster/directory"
	"roster/problem"
	"roster/signin"
)

// byCode is the button that asks for a code by mail in place of the password.
const byCode = "code"

func (r *request) viewSignIn() (*view, error) {
	if access.ActorOf(r.ctx) != nil && r.form == nil && r.http.URL.Query().Get(promptName) != promptLogin {
		return nil, &elsewhere{cmp.Or(r.returnTo, accountPath)}
	}
	v := &view{
		Title: "Sign in", Submit: "Sign in",
		Fields: []*field{{Name: "account", Label: "Email address or username", Autocomplete: "username", Inputmode: "email", Required: true, About: []string{"email", "username"}, Value: r.hint()}},
	}
	if r.settings.AllowPasswordSignIn {
		v.Fields = append(v.Fields, &field{Name: "password", Label: "Password", Type: "password", Autocomplete: "current-password", Required: true})
		if r.settings.AllowCodeSignIn {
			v.Others = []button{{"by", byCode, "Mail me a code"}}
		}
		v.Links = append(v.Links, link{r.link(forgottenPath), "Forgotten your password?"})
	} else {
		v.Submit, v.Text = "Continue", "We mail you a code to sign in with."
	}
	if r.settings.AllowSelfSignUp {
		v.Links = append(v.Links, link{r.link(signUpPath), "Create an account"})
	}
	bound, err := r.pages.Directory.BoundProviders(r.ctx)
	if err != nil {
		return nil, err
	}
	if bound {
		v.Others = append(v.Others, button{"by", byProvider, "Use your organization's sign-in"})
	}
	return v, r.viewByProvider(v)
}

// hint returns the account that an application believes to be the person's.
func (r *request) hint() string {
	if hint := r.http.URL.Query().Get(hintName); len(hint) <= maxAccount {
		return hint
	}
	return ""
}

// viewChoice lets the person choose an organization for an application, which sends
// browsers here when nobody has named one.
func (r *request) viewChoice() (*view, error) {
	v := &view{Title: "Choose an organization", Text: "Where do you want to work now?"}
	all, err := r.memberships()
	for _, one := range all {
		v.Choices = append(v.Choices, button{organizationKey, one.ID, one.Name})
	}
	return v, err
}

// choose tells the page where the browser comes from which organization it is.
func (r *request) choose() (string, error) {
	if r.returnTo == "" || r.returnTo[0] != '/' {
		return accountPath, nil
	}
	between := "?"
	if strings.Contains(r.returnTo, "?") {
		between = "&"
	}
	return r.returnTo + between + url.Values{organizationKey: {r.form.Get(organizationKey)}}.Encode(), nil
}

// signIn signs in to the account by the password or, if that is what was asked for, by a
// code.
func (r *request) signIn() (string, error) {
	account := strings.TrimSpace(orEmpty(r.sent("account")))
	if r.form.Get("by") == byProvider {
		return r.signInByProvider(account)
	}
	in := signin.SignInInput{Username: &account, Organization: r.organization()}
	if strings.ContainsRune(account, '@') { // no username does
		in.Email, in.Username = &account, nil
	}
	if r.settings.AllowPasswordSignIn && r.form.Get("by") != byCode {
		in.Password = new(r.form.Get("password"))
	}
	result, err := r.pages.SignIn.SignIn(r.ctx, in)
	return r.follow(result, account, err)
}

// follow returns where the browser goes on after a step of signing in to the account.
func (r *request) follow(result *signin.Result, account string, err error) (string, error) {
	switch {
	case err != nil:
		return "", err
	case result.Session == nil:
		return r.begin(continuePath, result.Step, account), nil
	}
	r.forget()
	return cmp.Or(r.returnTo, accountPath), nil
}

func (r *request) viewSignUp() (*view, error) {
	if !r.settings.AllowSelfSignUp {
		return nil, problem.New(problem.InvitationOnly, "Accounts are made by invitation only.")
	}
	v := &view{
		Title: "Create an account", Submit: "Continue", Text: "We mail you a code, to see that the address is yours.",
		Fields: []*field{
			{Name: "email", Label: "Email address", Type: "email", Autocomplete: "username", Inputmode: "email", Required: true},
			{Name: "givenName", Label: "Given name (optional)", Autocomplete: "given-name"},
			{Name: "familyName", Label: "Family name (optional)", Autocomplete: "family-name"},
		},
		Links: []link{{r.link(Path), "Sign in to an account that you have"}},
	}
	if r.settings.AllowPasswordSignIn {
		f := r.newPassword("password", "Password")
		if f.Required = !r.settings.AllowCodeSignIn; !f.Required {
			f.Label += " (optional)"
			f.Hint += " Without one, you sign in by codes."
		}
		v.Fields = append(v.Fields, f)
	}
	if r.settings.AllowOrganizationSignUp && r.organization() == nil {
		v.Fields = append(v.Fields, &field{
			Name: "createOrganization", Label: "Name of your organization (optional)", Autocomplete: "organization",
			Hint: "Makes a new organization, which you administer.",
		})
	}
	return v, r.viewByProvider(v)
}

// newPassword returns the field of a password that is chosen.
func (r *request) newPassword(name, label string) *field {
	return &field{
		Name: name, Label: label, Type: "password", Autocomplete: "new-password", Required: true,
		Hint: fmt.Sprintf("At least %d characters. Several words in a row are good, and easy to remember.", r.settings.MinimumPasswordLength),
	}
}

// accountField returns a field that nobody sees, by which browsers know whose password
// they keep.
func accountField(name string) *field {
	return &field{Name: "account", Autocomplete: "username", Value: name, Hidden: true}
}

func (r *request) signUp() (string, error) {
	in := signin.SignUpInput{
		Email: strings.TrimSpace(r.form.Get("email")), Password: r.filled("password"), GivenName: r.filled("givenName"), FamilyName: r.filled("familyName"),
		Organization: r.organization(), CreateOrganization: r.filled("createOrganization"),
	}
	result, err := r.pages.SignIn.SignUp(r.ctx, in)
	return r.follow(result, in.Email, err)
}

func (r *request) viewStep() (*view, error) {
	ticket, err := r.ticket()
	if err != nil {
		return nil, err
	}
	step, err := r.pages.SignIn.Step(r.ctx, ticket)
	if err != nil {
		return nil, err
	}
	again := link{r.link(Path), "Begin again"}
	switch step.Next {
	case signin.NextEmailCode:
		v := r.codeView("Enter the code")
		v.Links = []link{again}
		return v, nil
	case signin.NextPassword:
		return &view{
			Title: "Enter your password", Submit: "Sign in", Links: []link{again},
			Fields: []*field{accountField(r.flow.Account), {Name: "password", Label: "Password", Type: "password", Autocomplete: "current-password", Required: true}},
		}, nil
	case signin.NextNewPassword:
		return &view{
			Title: "Choose a new password", Submit: "Save and sign in", Text: "Your password was temporary. Choose one that only you know.",
			Fields: []*field{accountField(r.flow.Account), r.newPassword("password", "New password")}, Links: []link{again},
		}, nil
	case signin.NextOrganization:
	}
	v := &view{Title: "Choose an organization", Text: "Where do you want to work now? You can switch later.", Links: []link{again}}
	organizations, err := r.organizations(step.Choices)
	for _, org := range organizations {
		v.Choices = append(v.Choices, button{organizationKey, org.ID.String(), org.Name})
	}
	return v, err
}

// codeView returns the form that takes a code.
func (r *request) codeView(title string) *view {
	mailbox := "your mailbox"
	if strings.ContainsRune(r.flow.Account, '@') {
		mailbox = "the mailbox of " + r.flow.Account
	}
	return &view{ // the same whether there is such an account or not
		Title: title, Submit: "Continue", Text: "Look into " + mailbox + " for a code. It is valid for 10 minutes. If no mail comes, check the address, and the folder of unwanted mails.",
		Fields: []*field{{Name: "code", Label: "Code of 8 digits", Autocomplete: "one-time-code", Inputmode: "numeric", Required: true}},
	}
}

// takeStep takes the next step of signing in, or signing up.
func (r *request) takeStep() (string, error) {
	ticket, err := r.ticket()
	if err != nil {
		return "", err
	}
	in := signin.ContinueSignInInput{Ticket: ticket, Code: r.sent("code"), Password: r.sent("password")}
	if id := r.sent(organizationKey); id != nil {
		in.Organization = &directory.OrganizationRef{ID: id}
	}
	result, err := r.pages.SignIn.Continue(r.ctx, in)
	return r.follow(result, r.flow.Account, err)
}

// organizations returns the organizations with those ids, in their order.
func (r *request) organizations(ids []db.OrganizationID) ([]*db.Organization, error) {
	rows, err := r.pages.Directory.OrganizationsByID(r.ctx, ids, []string{"id", "name"})
	if err != nil {
		return nil, err
	}
	byID := map[db.OrganizationID]*db.Organization{}
	for i := range rows {
		byID[rows[i].ID] = &rows[i]
	}
	var all []*db.Organization
	for _, id := range ids {
		if byID[id] != nil {
			all = append(all, byID[id])
		}
	}
	return all, nil
}
