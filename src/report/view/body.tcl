
# The folder of this script. `vmd -e` reads it line by line, without [info script]: there the command line tells it.
proc ::mdrun_view::folder {} {
    set script [info script]
    if {$script eq ""} {
        catch {
            set channel [open /proc/[pid]/cmdline]
            fconfigure $channel -translation binary
            set words [split [encoding convertfrom [read $channel]] \0]
            close $channel
            foreach option $words word [lrange $words 1 end] {
                if {$option eq "-e" && [file tail $word] eq "view.vmd"} {
                    set script $word
                }
            }
        }
    }
    if {$script eq ""} {
        set script view.vmd
    }
    return [file dirname [file normalize $script]]
}

# The atoms that each atom is bonded to, as a PDB file's CONECT records say; VMD takes 12 at most.
proc ::mdrun_view::bonded {path atoms} {
    set bonded [lrepeat $atoms {}]
    set channel [open $path]
    while {[gets $channel line] >= 0} {
        if {[string range $line 0 5] ne "CONECT"} {
            continue
        }
        scan [string range $line 6 10] %d first
        for {set at 11} {[scan [string range $line $at $at+4] %d second] == 1} {incr at 5} {
            set i [expr {min($first, $second) - 1}]
            set j [expr {max($first, $second) - 1}]
            # Each bond is there from both sides.
            if {$first < $second && [llength [lindex $bonded $i]] < 12 && [llength [lindex $bonded $j]] < 12} {
                lset bonded $i [concat [lindex $bonded $i] $j]
                lset bonded $j [concat [lindex $bonded $j] $i]
            }
        }
    }
    close $channel
    return $bonded
}

# The lattice vectors (nine numbers) of so many frames of an extended XYZ file, of every so-manieth.
proc ::mdrun_view::lattices {path count stride} {
    set found {}
    set channel [open $path]
    for {set frame 0} {[llength $found] < $count} {incr frame} {
        if {[gets $channel atoms] < 0 || [gets $channel comment] < 0} {
            break
        }
        if {$frame % $stride == 0} {
            if {![regexp {Lattice="([^"]*)"} $comment whole numbers]} {
                break
            }
            lappend found $numbers
        }
        for {set i 0} {$i < $atoms} {incr i} {
            gets $channel line
        }
    }
    close $channel
    return $found
}

# A lattice's lengths and angles, and the matrix that turns it to where VMD has it: a along x, b in the xy plane.
proc ::mdrun_view::standard {numbers} {
    foreach {ax ay az bx by bz cx cy cz} $numbers break
    set a [list $ax $ay $az]
    set b [list $bx $by $bz]
    set c [list $cx $cy $cz]
    if {[vecdot [veccross $a $b] $c] < 0} {
        set c [vecscale -1 $c]
    }
    set cell [list [veclength $a] [veclength $b] [veclength $c]]
    foreach pair [list [list $b $c] [list $a $c] [list $a $b]] {
        set cosine [vecdot [vecnorm [lindex $pair 0]] [vecnorm [lindex $pair 1]]]
        lappend cell [expr {acos($cosine) * 180 / acos(-1)}]
    }
    set x [vecnorm $a]
    set z [vecnorm [veccross $a $b]]
    set y [veccross $z $x]
    set matrix [list [concat $x 0] [concat $y 0] [concat $z 0] {0 0 0 1}]
    return [list $cell $matrix]
}

# Gives the frames of an extended XYZ file, which VMD reads without their cells, the cells that the file has.
proc ::mdrun_view::set_cells {mol path first} {
    variable cells
    variable stride
    set count [expr {[molinfo $mol get numframes] - $first}]
    set lattices [lattices $path [expr {$cells eq "each" ? $count : 1}] $stride]
    if {[llength $lattices] == 0} {
        return
    }
    set all [atomselect $mol all]
    for {set k 0} {$k < $count} {incr k} {
        if {$k < [llength $lattices]} {
            foreach {cell matrix} [standard [lindex $lattices $k]] break
        }
        set frame [expr {$first + $k}]
        molinfo $mol set frame $frame
        molinfo $mol set {a b c alpha beta gamma} $cell
        $all frame $frame
        $all move $matrix
    }
    $all delete
}

# Loads the topology with its bonds, and the frames in its place.
proc ::mdrun_view::load {folder} {
    variable trajectory
    variable stride
    variable cells
    variable unwrap
    set topology [file join $folder topology.pdb]
    if {![file exists $topology]} {
        error "topology.pdb is not in $folder: change to the run's directory, then type: source view.vmd"
    }
    set mol [mol new $topology type pdb first 0 last 0 step 1 filebonds off autobonds off waitfor all]
    mol rename $mol [file tail $folder]
    set atoms [molinfo $mol get numatoms]
    if {$atoms < 100000} {
        set all [atomselect $mol all]
        $all setbonds [bonded $topology $atoms]
        $all delete
    } else {
        # The topology has no bonds of so many.
        mol bondsrecalc $mol
    }
    mol reanalyze $mol
    foreach {file type} $trajectory break
    set path [file join $folder $file]
    if {![file exists $path]} {
        puts "mdrun: there is no $file yet: the topology is shown"
        return $mol
    }
    catch {mol addfile $path type $type first 0 last -1 step $stride waitfor all $mol}
    if {[molinfo $mol get numframes] < 2} {
        puts "mdrun: there are no frames in $file yet: the topology is shown"
        return $mol
    }
    if {$cells ne "viewer"} {
        set_cells $mol $path 1
    }
    if {$unwrap && [catch {package require pbctools; pbc unwrap -molid $mol -all} why]} {
        puts "mdrun: atoms are not joined to their neighbours: $why"
    }
    # The topology's positions are those of the first frame.
    animate delete beg 0 end 0 skip -1 $mol
    return $mol
}

# Draws the atoms.
proc ::mdrun_view::draw {mol} {
    variable representations
    while {[molinfo $mol get numreps] > 0} {
        mol delrep 0 $mol
    }
    set rep 0
    foreach one $representations {
        foreach {style atoms images shown} $one break
        eval [concat mol representation $style]
        mol color Element
        mol selection $atoms
        mol material Opaque
        mol addrep $mol
        if {$images ne ""} {
            mol showperiodic $mol $rep $images
            mol numperiodic $mol $rep 1
        }
        mol showrep $mol $rep $shown
        incr rep
    }
}

# Draws the cell, with molecules moved into it where they have left it.
proc ::mdrun_view::draw_cell {mol} {
    variable wrap
    variable periodic
    if {[lsearch $periodic 1] < 0} {
        return
    }
    if {[catch {
        package require pbctools
        if {$wrap} {
            pbc wrap -molid $mol -compound fragment -center unitcell -all
        }
        pbc box -molid $mol -center unitcell -color gray -width 1
    } why]} {
        puts "mdrun: the cell is not drawn: $why"
    }
}

proc ::mdrun_view::show {} {
    variable periodic
    set mol [load [folder]]
    draw $mol
    draw_cell $mol
    mol top $mol
    if {[lsearch $periodic 1] >= 0} {
        # Parallel edges of the cell stay parallel.
        display projection Orthographic
    }
    animate goto start
    display resetview
    if {[lsearch $periodic 1] >= 0} {
        rotate y by -20
        rotate x by 15
        # The cell's corners lie beyond the atoms.
        scale by 0.85
    }
}

::mdrun_view::show
