package pages

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"roster/access"
	"roster/changes"
	"roster/db"
	"roster/directory"
	"roster/problem"
	"roster/queue"
	"roster/signin"
	"roster/signin/browser"
)

// maxBody is the most that a form may send, in bytes.
const maxBody = 8 << 10

// request is one request on its way to its answer.
type request struct {
	pages  *Pages
	ctx    context.Context
	http   *http.Request
	writer http.ResponseWriter
	path   string
	// provider is the key of the identity provider that the path names, if it names one.
	provider string

	settings *directory.Settings
	visit    *signin.Visit
	// person is the actor, if somebody is signed in.
	person *access.Actor
	// form is what was sent; nil for GET.
	form url.Values
	// flow is what the cookie of the flow has.
	flow flow
	// returnTo is where the browser goes when the person is signed in; empty means the
	// account.
	returnTo string
	// problems are why the form was refused.
	problems []*problem.Error
}

// elsewhere is returned by a view in whose place the browser is to see another page.
type elsewhere struct{ location string }

// Error says where the browser goes.
func (e *elsewhere) Error() string { return "see " + e.location }

func (r *request) serve() {
	r.path = strings.TrimSuffix(r.http.URL.Path, "/")
	h := r.writer.Header()
	h.Set("Cache-Control", "no-store")
	// Without a referrer, browsers would send "Origin: null" with forms (Fetch, 3.1).
	h.Set("Referrer-Policy", "same-origin")
	if r.path == stylesheetPath {
		r.serveStylesheet()
		return
	}
	r.ctx = queue.WithHolders(r.ctx, browser.Source(r.http)) // until it is known who asks
	var err error
	if r.settings, err = r.pages.Directory.SignInSettings(r.ctx); err != nil {
		r.fail(err)
		return
	}
	switch r.path {
	case brandingPath:
		r.serveBranding()
	case iconPath:
		r.serveIcon()
	default:
		r.servePage()
	}
}

func (r *request) servePage() {
	route, found := r.pages.route(r)
	isPost := r.http.Method == http.MethodPost
	isGet := r.http.Method == http.MethodGet || r.http.Method == http.MethodHead
	switch {
	case !found:
		r.show(notFound())
		return
	case isPost && route.submit == nil, isGet && route.view == nil, !isPost && !isGet:
		r.writer.Header().Set("Allow", route.methods())
		r.show(notAllowed())
		return
	}
	if err := r.read(isPost); err != nil {
		r.fail(err)
		return
	}
	if isPost && route.ends {
		urgent, leave, err := r.pages.Urgently(r.ctx)
		if err != nil {
			r.fail(err)
			return
		}
		defer leave()
		r.ctx = urgent
	}
	if err := r.authenticate(); err != nil { // after the body, which may have been long on its way
		r.fail(err)
		return
	}
	r.visit = browser.Visit(r.http, true)
	r.ctx = signin.WithVisit(r.ctx, r.visit)
	if route.own && r.person == nil {
		r.redirect(r.signInFirst())
		return
	}
	view := route.view
	if isPost {
		location, err := route.submit(r)
		if err == nil {
			r.pages.Cookies.End(r.writer, r.visit)
			r.goOn(location)
			return
		}
		r.problems = r.problemsOf(err)
		if view == nil {
			view = route.refused
		}
	}
	shown, err := view(r)
	if err != nil {
		r.fail(err)
		return
	}
	r.show(shown)
}

// goOn sends the browser on after a form. A form leads to no other origin than those that the
// policy of its page names, not even by redirects, so that a page of its own leads to an
// identity provider.
func (r *request) goOn(location string) {
	if strings.HasPrefix(location, "/") || originOf(location, r.pages.ReturnOrigins) != "" {
		r.redirect(location)
		return
	}
	r.flow = flow{} // what was kept for the way stays
	r.writer.Header().Set("Refresh", "0; url="+location)
	r.show(&view{template: "message", Title: "One moment", Text: "You sign in on another page.", Links: []link{{location, "Go there"}}})
}

// read reads what was sent.
func (r *request) read(isPost bool) error {
	cookies := r.pages.Cookies
	if err := cookies.Check(r.http); err != nil {
		return err
	}
	if isPost {
		r.http.Body = http.MaxBytesReader(r.writer, r.http.Body, maxBody)
		if err := r.http.ParseForm(); err != nil {
			if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
				return errTooLarge
			}
			return problem.New(problem.Invalid, "This form did not arrive as a whole.")
		}
		r.form = r.http.PostForm
	}
	r.flow = readFlow(cookies.Value(r.http, flowCookie))
	if r.returnTo = r.pages.returnAddress(r.http.URL.Query().Get(returnToName)); r.returnTo == "" {
		r.returnTo = r.pages.returnAddress(r.flow.ReturnTo)
	}
	return nil
}

var errTooLarge = problem.New(problem.Limited, "This is too long.")

// authenticate makes the person whose session the browser holds the actor. There is none
// without a session that works, and then the browser forgets it.
func (r *request) authenticate() error {
	shown, err := r.pages.Cookies.Read(r.http)
	if err != nil || shown.Empty() {
		return err
	}
	actor, err := r.pages.SignIn.Authenticate(r.ctx, shown, "")
	switch {
	case problem.Is(err, problem.Unauthenticated) || err == nil && !actor.SignedIn():
		r.pages.Cookies.Clear(r.writer)
		return nil
	case err != nil:
		return err
	}
	r.person = actor
	r.ctx = queue.WithHolders(access.WithActor(r.ctx, actor), actor.Holders()...)
	return nil
}

// signInFirst returns the address where somebody signs in and is sent back.
func (r *request) signInFirst() string {
	back := accountPath
	if r.http.Method == http.MethodGet {
		back = r.http.URL.RequestURI()
	}
	return Path + "?" + url.Values{returnToName: {back}}.Encode()
}

// sent returns what was typed into the field; nil if the form does not have it.
func (r *request) sent(name string) *string {
	if values, ok := r.form[name]; ok && len(values) > 0 {
		return &values[0]
	}
	return nil
}

// filled is sent; nil also if nothing was typed.
func (r *request) filled(name string) *string {
	if text := r.sent(name); text != nil && strings.TrimSpace(*text) != "" {
		return text
	}
	return nil
}

// link returns the address of a page where people sign in, with what they came for.
func (r *request) link(path string) string {
	query := url.Values{}
	if r.returnTo != "" {
		query.Set(returnToName, r.returnTo)
	}
	if code := r.http.URL.Query().Get(organizationKey); code != "" {
		query.Set(organizationKey, code)
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

// organization returns the organization that the address names, to sign in to or to join.
func (r *request) organization() *directory.OrganizationRef {
	text := r.http.URL.Query().Get(organizationKey)
	if text == "" {
		return nil
	}
	return new(directory.ParseOrganizationRef(text))
}

// redirect sends the browser on. The location is not tidied, as http.Redirect does it: it
// is what was checked.
func (r *request) redirect(location string) {
	r.writer.Header().Set("Location", location)
	r.writer.WriteHeader(http.StatusSeeOther)
}

// fail shows why there is no page, or sends the browser elsewhere.
func (r *request) fail(err error) {
	if to, ok := errors.AsType[*elsewhere](err); ok {
		r.redirect(to.location)
		return
	}
	r.problems = r.problemsOf(err)
	v := failed(r.problems[0])
	if r.person != nil {
		v.Links = []link{back}
	} else {
		v.Links = []link{{r.link(Path), "Sign in"}}
	}
	r.show(v)
}

// problemsOf returns what people see of an error; at least one problem. Others than those
// that they have caused are in the log.
func (r *request) problemsOf(err error) []*problem.Error {
	err = db.Problem(err)
	if problem.Is(err, problem.Unavailable) {
		r.pages.Log.WarnContext(r.ctx, "unavailable", "page", r.path, "cause", err)
	}
	if all := problem.All(err); len(all) > 0 {
		kinds := make([]problem.Kind, len(all))
		for i, one := range all {
			kinds[i] = one.Kind
		}
		r.pages.Denied(r.ctx, r.http, "pages", kinds...)
		return all
	}
	wait := &problem.Error{Kind: problem.Unavailable, Message: "There is too much to do at the moment. Try again in a second.", RetryAfter: time.Second}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, queue.ErrBusy), db.Contended(err), errors.Is(err, changes.ErrActorLocked):
		return []*problem.Error{wait}
	case errors.Is(err, context.Canceled): // nobody reads the answer
		return []*problem.Error{wait}
	}
	r.pages.Log.ErrorContext(r.ctx, "internal error", "page", r.path, "cause", err)
	return []*problem.Error{problem.New(problem.Internal, "Something went wrong on our side. Try again.")}
}

// statusOf returns the status of a page that is shown for the problem, and sets the header
// Retry-After if it helps to wait.
func (r *request) statusOf(p *problem.Error) int {
	wait := p.RetryAfter
	if p.Kind == problem.Unavailable {
		wait = max(wait, time.Second)
	}
	if wait > 0 {
		r.writer.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	switch p.Kind {
	case problem.Unauthenticated:
		return http.StatusUnauthorized
	case problem.Forbidden, problem.InvitationOnly, problem.Suspended, problem.Escalation:
		return http.StatusForbidden
	case problem.NotFound:
		return http.StatusNotFound
	case problem.Conflict, problem.LastOrganization, problem.LastAdministrator:
		return http.StatusConflict
	case problem.Limited:
		if p == errTooLarge {
			return http.StatusRequestEntityTooLarge
		}
		return http.StatusTooManyRequests
	case problem.Unavailable:
		return http.StatusServiceUnavailable
	case problem.Internal:
		return http.StatusInternalServerError
	}
	return http.StatusUnprocessableEntity
}
