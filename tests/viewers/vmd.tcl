# VMD's commands as recorders: runs view.vmd without VMD, and prints every call as a list of Tcl, one a line.
#
#   tclsh vmd.tcl FRAMES PBCTOOLS -e .../view.vmd      line by line, as `vmd -e` does, without [info script]
#   tclsh vmd.tcl FRAMES PBCTOOLS source .../view.vmd  as `source view.vmd` at VMD's prompt does
#
# FRAMES is the number of frames that a trajectory has, PBCTOOLS (1 or 0) whether VMD's plugin of that name is there. What VMD
# does not know is an error here, too: commands, numbers of arguments, options.

foreach {frames pbctools how script} $argv break
set numframes 0
set numreps 0
set atoms 0
set periodic 0
set frame 0

proc record {args} {
    puts $args
}

# An error unless a command has so many arguments.
proc expect {what count args} {
    if {[lsearch $count [llength $args]] < 0} {
        error "$what takes $count arguments, not [llength $args]: $args"
    }
}

# Options and their values, of a command that takes these.
proc options {what known args} {
    foreach {option value} $args {
        if {[lsearch $known $option] < 0} {
            error "$what does not know $option"
        }
    }
}

proc readable {path} {
    close [open $path]
}

proc mol {command args} {
    record mol $command {*}$args
    switch $command {
        new {
            options "mol new" {type first last step filebonds autobonds waitfor} {*}[lrange $args 1 end]
            readable [lindex $args 0]
            set channel [open [lindex $args 0]]
            set ::atoms 0
            while {[gets $channel line] >= 0} {
                if {[regexp {^(ATOM  |HETATM)} $line]} { incr ::atoms }
                if {[regexp {^CRYST1} $line]} { set ::periodic 1 }
            }
            close $channel
            set ::numframes 1
            set ::numreps 1
            return 7
        }
        addfile {
            options "mol addfile" {type first last step waitfor} {*}[lrange $args 1 end-1]
            molecule [lindex $args end]
            readable [lindex $args 0]
            set step [dict get [lrange $args 1 end-1] step]
            incr ::numframes [expr {($::frames + $step - 1) / $step}]
        }
        rename { expect $command 2 {*}$args; molecule [lindex $args 0] }
        delrep { expect $command 2 {*}$args; molecule [lindex $args 1]; incr ::numreps -1 }
        addrep { expect $command 1 {*}$args; molecule [lindex $args 0]; incr ::numreps }
        reanalyze - bondsrecalc - top { expect $command 1 {*}$args; molecule [lindex $args 0] }
        showperiodic - numperiodic - showrep {
            expect $command 3 {*}$args
            molecule [lindex $args 0]
            if {[lindex $args 1] >= $::numreps} { error "there is no representation [lindex $args 1]" }
        }
        representation {
            if {[lsearch {CPK Licorice VDW Lines Points} [lindex $args 0]] < 0} { error "no style $args" }
        }
        color - selection - material { expect $command 1 {*}$args }
        default { error "mol has no command $command" }
    }
}

proc molecule {id} {
    if {$id != 7} { error "there is no molecule $id" }
}

proc molinfo {id command what args} {
    molecule $id
    switch $command {
        get {
            switch $what {
                numframes { return $::numframes }
                numreps { return $::numreps }
                numatoms { return $::atoms }
                default { error "molinfo get does not know $what here" }
            }
        }
        set {
            record molinfo set $what {*}$args
            if {$what eq "frame"} { set ::frame [lindex $args 0] }
            if {[llength $what] != [llength [lindex $args 0]]} { error "molinfo: $what is not set to $args" }
        }
    }
}

proc atomselect {id text} {
    molecule $id
    proc selection {command args} {
        switch $command {
            setbonds {
                set lists [lindex $args 0]
                if {[llength $lists] != $::atoms} { error "one list of bonds for each atom is wanted" }
                set count 0
                set most 0
                for {set i 0} {$i < $::atoms} {incr i} {
                    set others [lindex $lists $i]
                    foreach j $others {
                        if {[lsearch [lindex $lists $j] $i] < 0} { error "the bond of $i and $j is there from one side" }
                        incr count
                    }
                    if {[llength $others] > $most} { set most [llength $others] }
                }
                if {$most > 12} { error "too many bonds in bondlist" }
                record bonds [expr {$count / 2}] $most
            }
            frame {
                if {$args >= $::numframes} { error "there is no frame $args" }
                record frame {*}$args
            }
            move { record move {*}$args }
            delete {}
            default { error "a selection has no command $command" }
        }
    }
    return selection
}

proc animate {command args} {
    record animate $command {*}$args
    switch $command {
        delete {
            options "animate delete" {beg end skip} {*}[lrange $args 0 end-1]
            molecule [lindex $args end]
            incr ::numframes -1
        }
        goto {}
        default { error "animate has no command $command" }
    }
}

proc display {args} {
    record display {*}$args
    if {$args ne "projection Orthographic" && $args ne "resetview"} { error "display: $args" }
}

proc rotate {axis how angle} {
    record rotate $axis $how $angle
    if {[lsearch {x y z} $axis] < 0 || $how ne "by"} { error "rotate: $axis $how" }
}

proc scale {how factor} {
    record scale $how $factor
    if {$how ne "by"} { error "scale: $how" }
}

rename package tcl_package
proc package {command args} {
    if {"$command $args" eq "require pbctools"} {
        if {!$::pbctools} { error "can't find package pbctools" }
        return 2.8
    }
    tcl_package $command {*}$args
}

proc pbc {command args} {
    record pbc $command {*}$args
    if {!$::pbctools} { error "invalid command name \"pbc\"" }
    if {!$::periodic} { error "there is no cell" }
    set rest [lsearch -all -inline -not $args -all]
    switch $command {
        wrap { options "pbc wrap" {-molid -compound -center} {*}$rest }
        unwrap { options "pbc unwrap" -molid {*}$rest }
        box { options "pbc box" {-molid -center -color -width} {*}$rest }
        default { error "pbc has no command $command" }
    }
    molecule [dict get $rest -molid]
}

proc vecdot {u v} {
    set sum 0.0
    foreach a $u b $v { set sum [expr {$sum + $a * $b}] }
    return $sum
}
proc veclength {u} { return [expr {sqrt([vecdot $u $u])}] }
proc vecscale {factor u} {
    set out {}
    foreach a $u { lappend out [expr {$factor * $a}] }
    return $out
}
proc vecnorm {u} { return [vecscale [expr {1.0 / [veclength $u]}] $u] }
proc veccross {u v} {
    foreach {a b c} $u {d e f} $v break
    return [list [expr {$b * $f - $c * $e}] [expr {$c * $d - $a * $f}] [expr {$a * $e - $b * $d}]]
}

if {$how eq "-e"} {
    info script ""
    set channel [open $script]
    set command ""
    while {[gets $channel line] >= 0} {
        append command $line \n
        if {[info complete $command]} {
            uplevel #0 $command
            set command ""
        }
    }
    close $channel
} else {
    source $script
}
puts [list at-last frames $numframes representations $numreps]
