package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/longshore/longshore/pipeline"
	"github.com/longshore/longshore/pipeline/config"
)

// Exit codes, after sysexits.h where it has one.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 69 // a destination cannot be reached
	exitConfig      = 78 // the config is wrong
)

// An app is one call of the program, with all it gets from outside.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(string) (string, bool)
	components     []pipeline.Spec
}

// run does what the arguments say, until ctx ends, and gives the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.commands()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	return a.explain(err)
}

func (a *app) commands() *cobra.Command {
	root := &cobra.Command{
		Use:           "longshore",
		Short:         "Ship the logs of containers and files to Loki and Elasticsearch",
		Version:       versionText(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetVersionTemplate("longshore {{.Version}}\n")
	root.AddCommand(a.runCommand(), a.checkCommand(), a.tryCommand(), a.testCommand(), a.replayCommand(), a.verifyCommand(), a.listCommand(), a.healthcheckCommand(), a.versionCommand())
	return root
}

// A failure is an error with an exit code. Any other error that a command
// gives is one of usage: those are cobra's.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// failed makes an error of what a command does a failure.
func failed(err error) error {
	var f *failure
	var wrong config.Errors
	switch {
	case err == nil, errors.As(err, &f):
		return err
	case errors.As(err, &wrong):
		return &failure{exitConfig, err}
	}
	return &failure{exitFailed, err}
}

// action makes a function what a command does: its errors are failures.
func action(do func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error { return failed(do(cmd, args)) }
}

// explain prints an error for people, and gives the exit code.
func (a *app) explain(err error) int {
	var f *failure
	if !errors.As(err, &f) {
		fmt.Fprintf(a.stderr, "longshore: %v\nSee \"longshore --help\".\n", err)
		return exitUsage
	}
	var wrong config.Errors
	if errors.As(err, &wrong) {
		a.printMistakes(wrong)
	} else {
		fmt.Fprintf(a.stderr, "%s %v\n", a.styleOf(a.stderr).red("longshore:"), err)
	}
	return f.code
}
