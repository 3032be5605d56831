// Package pages serves the pages on which people sign up, sign in, and look after their
// account. They work without scripts, and call the same functions as the mutations.
//
//	/signin           sign in           ─▶ /signin/continue ─▶ return_to or /signin/account
//	/signin/signup    sign up           ─▶ /signin/continue ─▶ return_to or /signin/account
//	/signin/invitation join, by a link  ─▶ /signin/continue ─▶ return_to or /signin/account
//	/signin/organization choose an organization ─▶ return_to, which is told
//	/signin/forgotten forgotten password ─▶ /signin/reset    ─▶ /signin
//	/signin/account   profile, password, address, organizations, sessions, ways to sign in
//	/signin/{key}     an identity provider ─▶ the provider ─▶ /signin/{key}/callback
//
// A page is a route: a view, which GET shows, and what is done with the form that the view
// has, which POST sends. After a success, the browser is sent on (303); after a failure, it
// gets the same view again, with what was wrong, and with what was typed.
//
// A flow is bound to the browser by a cookie that has its ticket (flow.go).
//
// Begin with Pages.ServeHTTP and request.serve.
package pages

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"roster/directory"
	"roster/problem"
	"roster/signin"
	"roster/signin/browser"
)

// Path is where the pages are served: it, and everything below it.
const Path = "/signin"

// The paths of pages that others lead to.
const (
	signUpPath      = Path + "/signup"
	invitationPath  = signin.InvitationPath
	choicePath      = Path + "/organization"
	continuePath    = Path + "/continue"
	forgottenPath   = Path + "/forgotten"
	resetPath       = Path + "/reset"
	accountPath     = Path + "/account"
	profilePath     = accountPath + "/profile"
	passwordPath    = accountPath + "/password"
	emailPath       = accountPath + "/email"
	emailCodePath   = emailPath + "/code"
	switchPath      = accountPath + "/switch"
	leavePath       = accountPath + "/leave"
	endSessionPath  = accountPath + "/sessions/end"
	unlinkPath      = accountPath + "/unlink"
	signOutPath     = accountPath + "/signout"
	everywherePath  = signOutPath + "/everywhere"
	stylesheetPath  = Path + "/style.css"
	brandingPath    = Path + "/brand.css"
	iconPath        = Path + "/icon.svg"
	returnToName    = "return_to"
	organizationKey = "organization"
	// promptName makes those sign in again who are signed in, if it is promptLogin.
	promptName  = "prompt"
	promptLogin = "login"
	hintName    = "login_hint"
)

// Options are what the pages need. All are required.
type Options struct {
	SignIn    *signin.Service
	Directory *directory.Directory
	Cookies   *browser.Cookies
	// ReturnOrigins are the origins, such as https://app.example.com, whose pages browsers
	// may be sent back to, besides the pages of this server.
	ReturnOrigins []string
	// Urgently lets work in that ends access, however busy the server is. It returns a context
	// for it, and leave, which is called when the work is done.
	Urgently func(ctx context.Context) (urgent context.Context, leave func(), err error)
	// Denied counts and logs what was denied to a client, by the kinds of the problems; door is
	// the name of this one. Other kinds are no denials.
	Denied func(ctx context.Context, r *http.Request, door string, kinds ...problem.Kind)
	// LeadsTo returns where browsers may be sent on from a path of this server that they are
	// sent back to, as a source of a Content-Security-Policy; empty for nowhere.
	LeadsTo func(ctx context.Context, path string) string
	Log     *slog.Logger
}

// Pages answers requests for the pages.
type Pages struct {
	Options
	routes map[string]route
}

// New returns the pages. No identity provider can have a key from now on that is the word of a
// page.
func New(o Options) *Pages {
	p := &Pages{o, map[string]route{
		Path:           {view: (*request).viewSignIn, submit: (*request).signIn},
		signUpPath:     {view: (*request).viewSignUp, submit: (*request).signUp},
		invitationPath: {view: (*request).viewInvitation, submit: (*request).acceptInvitation},
		continuePath:   {view: (*request).viewStep, submit: (*request).takeStep},
		forgottenPath:  {view: (*request).viewForgotten, submit: (*request).requestReset},
		resetPath:      {view: (*request).viewReset, submit: (*request).resetPassword},
		accountPath:    {own: true, view: (*request).viewAccount},
		profilePath:    {own: true, view: (*request).viewProfile, submit: (*request).updateProfile},
		passwordPath:   {own: true, view: (*request).viewPassword, submit: (*request).changePassword},
		emailPath:      {own: true, view: (*request).viewEmail, submit: (*request).requestEmailChange},
		emailCodePath:  {own: true, view: (*request).viewEmailCode, submit: (*request).confirmEmailChange},
		leavePath:      {own: true, view: (*request).viewLeave, submit: (*request).leaveOrganization},
		switchPath:     {own: true, refused: (*request).viewAccount, submit: (*request).switchOrganization},
		unlinkPath:     {own: true, refused: (*request).viewAccount, submit: (*request).unlink},
		endSessionPath: {own: true, ends: true, refused: (*request).viewAccount, submit: (*request).endSession},
		choicePath:     {own: true, view: (*request).viewChoice, submit: (*request).choose},
		signOutPath:    {ends: true, view: (*request).viewSignOut, submit: (*request).signOut},
		everywherePath: {ends: true, refused: (*request).viewAccount, submit: (*request).signOutEverywhere},
	}}
	for _, path := range append(slices.Collect(maps.Keys(p.routes)), stylesheetPath, brandingPath, iconPath) {
		word, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(path, Path), "/"), "/")
		o.Directory.ReserveProviderKeys(word)
	}
	return p
}

// providerRoutes has the routes of each identity provider, by what follows its key.
var providerRoutes = map[string]route{
	"":          {view: (*request).viewDeparture},
	"/callback": {view: (*request).viewArrival},
	"/link":     {own: true, view: (*request).viewLink, submit: (*request).beginLink},
}

// route returns what is served at the path of the request, and sets its provider if the path
// is one's.
func (p *Pages) route(r *request) (t route, found bool) {
	if t, found = p.routes[r.path]; found {
		return t, true
	}
	rest, _ := strings.CutPrefix(r.path, Path+"/")
	key, after, _ := strings.Cut(rest, "/")
	if after != "" {
		after = "/" + after
	}
	r.provider = key
	t, found = providerRoutes[after]
	return t, found
}

// route is what is served at one path.
type route struct {
	// own is true of what only a person who is signed in sees: request.person is not nil.
	// Others are sent to sign in first, and back.
	own bool
	// ends is true of what ends access, and nothing else.
	ends bool
	// view returns what GET shows, and what POST shows if it is refused. It is nil if there
	// is no GET; then refused takes its place for POST.
	view, refused func(r *request) (*view, error)
	// submit does what the form asks for, and returns where the browser goes on. It is nil
	// if there is no POST.
	submit func(r *request) (location string, err error)
}

// methods returns the methods that the route takes, as the header Allow has them.
func (t route) methods() string {
	var all []string
	if t.view != nil {
		all = append(all, http.MethodGet, http.MethodHead)
	}
	if t.submit != nil {
		all = append(all, http.MethodPost)
	}
	return strings.Join(all, ", ")
}

// timeout is how long a request may take, without its body. It is longer than what waiting
// for a connection, and hashing a password, take on a busy server.
const timeout = 30 * time.Second

// Refuse shows people why they cannot go on, for a door that sends browsers here.
func (p *Pages) Refuse(w http.ResponseWriter, incoming *http.Request, why *problem.Error) {
	r := &request{pages: p, ctx: incoming.Context(), http: incoming, writer: w, path: Path}
	w.Header().Set("Cache-Control", "no-store")
	settings, err := p.Directory.SignInSettings(r.ctx)
	if err != nil {
		r.fail(err)
		return
	}
	r.settings = settings
	r.fail(why)
}

// ServeHTTP answers a request for a page, or for what pages load.
func (p *Pages) ServeHTTP(w http.ResponseWriter, incoming *http.Request) {
	ctx, cancel := context.WithTimeout(incoming.Context(), timeout)
	defer cancel()
	r := &request{pages: p, ctx: ctx, http: incoming, writer: w}
	r.serve()
}
