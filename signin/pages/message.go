package pages

import (
	"net/http"

	"roster/problem"
)

// This file has the pages that say why there is no other one.

func notFound() *view {
	return &view{
		template: "message", status: http.StatusNotFound, Title: "Page not found",
		Text: "There is no such page. Perhaps the address is mistyped.", Links: []link{{Path, "Sign in"}},
	}
}

func notAllowed() *view {
	return &view{
		template: "message", status: http.StatusMethodNotAllowed, Title: "This does not work here",
		Text: "This address is for forms of another page.", Links: []link{{Path, "Sign in"}},
	}
}

// failed returns the page for a request that was not even tried.
func failed(p *problem.Error) *view {
	v := &view{template: "message", Title: "This did not work"}
	switch p.Kind {
	case problem.Forbidden:
		v.Title = "This is not allowed"
	case problem.InvitationOnly:
		v.Title, v.Text = "By invitation only", "Ask somebody who has an account for an invitation."
	case problem.Unavailable:
		v.Title = "Please try again"
	}
	return v
}
