package pages

import (
	"cmp"
	"strings"

	"roster/signin"
)

func (r *request) viewForgotten() (*view, error) {
	return &view{
		Title: "Forgotten password", Submit: "Mail me a code", Text: "We mail you a code by which you set a new password.",
		Fields: []*field{{Name: "email", Label: "Email address", Type: "email", Autocomplete: "username", Inputmode: "email", Required: true}},
		Links:  []link{{r.link(Path), "Back to sign in"}},
	}, nil
}

func (r *request) requestReset() (string, error) {
	email := strings.TrimSpace(r.form.Get("email"))
	step, err := r.pages.SignIn.RequestPasswordReset(r.ctx, email)
	if err != nil {
		return "", err
	}
	return r.begin(resetPath, step, email), nil
}

func (r *request) viewReset() (*view, error) {
	if _, err := r.ticket(); err != nil {
		return nil, err
	}
	v := r.codeView("Set a new password")
	v.Submit = "Save the new password"
	v.Fields = append(v.Fields, r.newPassword("password", "New password"))
	v.Links = []link{{r.link(forgottenPath), "Begin again"}}
	return v, nil
}

func (r *request) resetPassword() (string, error) {
	ticket, err := r.ticket()
	if err != nil {
		return "", err
	}
	in := signin.ResetPasswordInput{Ticket: ticket, Code: r.form.Get("code"), Password: r.form.Get("password")}
	if err := r.pages.SignIn.ResetPassword(r.ctx, in); err != nil {
		return "", err
	}
	return r.done("reset", r.link(Path)), nil
}

func (r *request) viewPassword() (*view, error) {
	user, err := r.user()
	if err != nil {
		return nil, err
	}
	return &view{
		Title: "Change password", Submit: "Change password", Text: "You are signed out everywhere else then.",
		Fields: []*field{
			accountField(cmp.Or(orEmpty(user.Email), orEmpty(user.Username))),
			{Name: "currentPassword", Label: "Present password", Type: "password", Autocomplete: "current-password", Required: true},
			r.newPassword("newPassword", "New password"),
		},
		Links: []link{{forgottenPath, "I have none, or have forgotten it"}, {accountPath, "Back to your account"}},
	}, nil
}

func (r *request) changePassword() (string, error) {
	err := r.pages.SignIn.ChangePassword(r.ctx, signin.ChangePasswordInput{CurrentPassword: r.form.Get("currentPassword"), NewPassword: r.form.Get("newPassword")})
	if err != nil {
		return "", err
	}
	return r.done("password", accountPath), nil
}
