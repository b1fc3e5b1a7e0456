; What tunes need of a KERNAL, at the addresses that the C64's memory map gives them. Not Commodore's code: the
; interrupt entry and exits, the vectors, the jiffy clock, letters on the screen, and the jump table, whose entries lead
; to plain returns where a tune has nothing to wait for. What is not here stops a tune with the name of the routine that it wants.
; Sources of addresses and effects: Commodore 64 Programmer's Reference Guide, chapter 5; Sheldon Leemon, "Mapping the
; Commodore 64" (1984).

ciaport  = $DC00
ciatimer = $DC04
ciaicr   = $DC0D
ciacra   = $DC0E
cia2icr  = $DD0D
cia2port = $DD00
vicintr  = $D01A

* = $E500
iobase: LDX #<ciaport           ; where the first CIA lies
        LDY #>ciaport
        RTS
screen: LDX #40                 ; columns and lines
        LDY #25
        RTS
plot:   BCS getpos
        STX $D6
        STY $D3
        JSR setrow
getpos: LDX $D6
        LDY $D3
        CLC
        RTS

* = $E544
        LDA #32                 ; clear the screen
        LDX #0
wipe:   STA $0400,X
        STA $0500,X
        STA $0600,X
        STA $06E8,X
        INX
        BNE wipe
        BEQ home
* = $E566
home:   LDX #0                  ; the cursor to the corner
        STX $D3
        STX $D6
setrow: LDX $D6                 ; where the cursor's row lies: 1024 + 40 * row
        LDA #0
        STA $D1
        LDA #4
        STA $D2
row:    DEX
        BMI found
        LDA $D1
        CLC
        ADC #40
        STA $D1
        BCC row
        INC $D2
        BNE row
found:  RTS

* = $E5A0
        RTS                     ; the VIC's registers are as they were

* = $E716
        JMP chrout

* = $EA31
        JSR udtim               ; the timer interrupt
        JMP $EA7B
* = $EA7B
        JSR $EA87
        LDA ciaicr              ; acknowledge
        PLA
        TAY
        PLA
        TAX
        PLA
        RTI

* = $EA87
        RTS                     ; no key is down

* = $F13E                       ; where the vectors at $031A lead to
        JMP nokey               ; GETIN
* = $F157
        JMP nokey               ; CHRIN
* = $F1CA
        JMP chrout
* = $F20E
        JMP fine                ; CHKIN
* = $F250
        JMP fine                ; CHKOUT
* = $F291
        JMP fine                ; CLOSE
* = $F32F
        JMP fine                ; CLALL
* = $F333
        JMP fine                ; CLRCHN
* = $F34A
        JMP fine                ; OPEN

* = $F69B
udtim:  INC $A2                 ; the jiffy clock, which begins anew after 24 hours: 5184000 is $4F1A00
        BNE ticked
        INC $A1
        BNE ticked
        INC $A0
ticked: LDA $A0
        CMP #$4F
        BCC done
        LDA $A1
        CMP #$1A
        BCC done
        LDA #0
        STA $A0
        STA $A1
        STA $A2
done:   RTS
rdtim:  LDA $A2
        LDX $A1
        LDY $A0
        RTS
settim: STA $A2
        STX $A1
        STY $A0
        RTS
* = $F6ED
stop:   LDA #$FF                ; the STOP key is up
        CMP #$7F
        RTS
nokey:  LDA #0                  ; no key, no byte
        CLC
        RTS
ready:  LDA $90
        RTS
fine:   CLC
        RTS

chrout: PHA                     ; prints A on the screen: letters, RETURN, and what moves the cursor
        STA $D7
        TXA
        PHA
        TYA
        PHA
        JSR put
        PLA
        TAY
        PLA
        TAX
        PLA
        CLC
        RTS
put:    LDA $D7
        TAX
        AND #$60
        BEQ control
        TXA
        CPX #$FF
        BNE letter
        LDA #$5E                ; pi
        BNE show
letter: CPX #$C0
        BCS upper
        CPX #$A0
        BCS forty
        CPX #$60
        BCS twenty
        CPX #$40
        BCC show
forty:  SEC
        SBC #$40
        JMP show
twenty: SEC
        SBC #$20
        JMP show
upper:  SEC
        SBC #$80
show:   LDX $C7                 ; reversed
        BEQ store
        ORA #$80
store:  PHA
        JSR setrow
        PLA
        LDY $D3
        STA ($D1),Y
        LDA $D1                 ; its colour lies at $D800
        STA $F3
        LDA $D2
        AND #3
        ORA #$D8
        STA $F4
        LDA $0286
        STA ($F3),Y
right:  INC $D3
        LDA $D3
        CMP #40
        BCS newrow
        RTS
control: CPX #13
        BEQ newrow
        CPX #17
        BEQ down
        CPX #18
        BEQ rvson
        CPX #19
        BEQ tohome
        CPX #20
        BEQ delete
        CPX #29
        BEQ right
        CPX #141
        BEQ newrow
        CPX #145
        BEQ goup
        CPX #146
        BEQ rvsoff
        CPX #147
        BEQ clear
        CPX #157
        BEQ goleft
        RTS
clear:  JMP $E544
tohome: JMP home
rvson:  STX $C7
        RTS
rvsoff: LDA #0
        STA $C7
        RTS
delete: JSR goleft
        JSR setrow
        LDA #32
        LDY $D3
        STA ($D1),Y
        RTS
goleft: LDX $D3
        BEQ stays
        DEC $D3
stays:  RTS
goup:   LDX $D6
        BEQ stays
        DEC $D6
        RTS
newrow: LDA #0
        STA $D3
        STA $C7
down:   INC $D6
        LDA $D6
        CMP #25
        BCC stays
        DEC $D6
        LDX #0                  ; everything a row up
        LDA #$28
        STA $F3
        LDA #$04
        STA $F4
        LDA #0
        STA $D1
        LDA #4
        STA $D2
scroll: LDY #39
cell:   LDA ($F3),Y
        STA ($D1),Y
        DEY
        BPL cell
        LDA $F3
        STA $D1
        LDA $F4
        STA $D2
        LDA $F3
        CLC
        ADC #40
        STA $F3
        BCC further
        INC $F4
further: INX
        CPX #24
        BNE scroll
        LDY #39
        LDA #32
blank:  STA ($D1),Y
        DEY
        BPL blank
        RTS

* = $FD15
restor: LDX #<vectors           ; the vectors as they are after a reset
        LDY #>vectors
        CLC
vector: STX $C3
        STY $C4
        LDY #31
copy:   LDA $0314,Y
        BCS keep
        LDA ($C3),Y
keep:   STA ($C3),Y
        STA $0314,Y
        DEY
        BPL copy
        RTS
vectors: .word $EA31, $FE66, $FE47, $F34A, $F291, $F20E, $F250, $F333
        .word $F157, $F1CA, $F6ED, $F13E, $F32F, $FE66, $F4A5, $F5ED

* = $FD50
        RTS                     ; memory has been tested

* = $FDA3
ioinit: LDA #$7F
        STA ciaicr
        STA cia2icr
        STA ciaport
        LDA #$08
        STA ciacra
        STA cia2port+14
        STA ciacra+1
        STA cia2port+15
        LDX #0
        STX ciaport+3
        STX cia2port+3
        STX $D418
        DEX
        STX ciaport+2
        LDA #$07
        STA cia2port
        LDA #$3F
        STA cia2port+2
        LDA #$E7
        STA $01
        LDA #$2F
        STA $00
timer:  LDA $02A6               ; sixty interrupts a second
        BEQ ntsc
        LDA #$25
        STA ciatimer
        LDA #$40
        JMP run
ntsc:   LDA #$95
        STA ciatimer
        LDA #$42
run:    STA ciatimer+1
        LDA #$81
        STA ciaicr
        LDA #$11
        STA ciacra
        RTS

* = $FE43
        SEI                     ; NMI
        JMP ($0318)
* = $FE47
        PHA
        TXA
        PHA
        TYA
        PHA
        LDA #$7F
        STA cia2icr
        LDY cia2icr
        JMP $FEBC
* = $FEBC
        PLA
        TAY
        PLA
        TAX
        PLA
        RTI

* = $FF48
        PHA                     ; IRQ and BRK
        TXA
        PHA
        TYA
        PHA
        TSX
        LDA $0104,X
        AND #$10
        BEQ notbrk
        JMP ($0316)
notbrk: JMP ($0314)

* = $FF5B
        LDA #0                  ; CINT: no interrupt from the VIC
        STA vicintr
        JMP timer

* = $FF81                       ; the jump table, three bytes an entry
        JMP $FF5B
        JMP ioinit
        JMP fine
        JMP restor
        JMP vector
        JMP fine
        JMP fine
        JMP fine
        JMP fine
        JMP fine
        JMP nokey               ; SCNKEY
        JMP fine
        JMP nokey               ; ACPTR
        JMP fine
        JMP fine
        JMP fine
        JMP fine
        JMP fine
        JMP ready               ; READST
        JMP fine
        JMP fine
        JMP fine
        JMP fine
        JMP fine
        JMP fine
        JMP fine
        JMP nokey               ; CHRIN
        JMP chrout
        JMP fine
        JMP fine
        JMP settim
        JMP rdtim
        JMP stop
        JMP nokey               ; GETIN
        JMP fine
        JMP udtim
        JMP screen
        JMP plot
        JMP iobase

* = $FFFA
        .word $FE43, $FCE2, $FF48
