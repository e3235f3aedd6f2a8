-- A library of layout 4 as the program of commit 63e8a0e made it of the files in tests/test_moved_library.py, put in through
-- the page; {folder} is the library's folder, {own} that of a file of the user's own, {sidecars} the hash of what
-- lies beside talk.vtt: it was made of the audio's absolute path.
BEGIN TRANSACTION;
CREATE TABLE case_articles (document_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE, article TEXT NOT NULL);
INSERT INTO "case_articles" VALUES('151a2234b7d5afea','Article 8');
INSERT INTO "case_articles" VALUES('99955228ab6527e5','Article 8');
CREATE TABLE case_numbers (document_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE, number TEXT NOT NULL);
INSERT INTO "case_numbers" VALUES('151a2234b7d5afea','1/01');
INSERT INTO "case_numbers" VALUES('99955228ab6527e5','2/05');
CREATE TABLE cases (
    document_id TEXT PRIMARY KEY REFERENCES documents ON DELETE CASCADE, court TEXT NOT NULL, title TEXT NOT NULL,
    applicant TEXT NOT NULL, respondent TEXT NOT NULL, date TEXT NOT NULL, importance INTEGER,
    name TEXT NOT NULL, applicant_name TEXT NOT NULL, country TEXT NOT NULL);
INSERT INTO "cases" VALUES('151a2234b7d5afea','ecthr','A. v. AUSTRIA','A.','AUSTRIA','2001-05-04',NULL,'a v austria','a','austria');
INSERT INTO "cases" VALUES('99955228ab6527e5','ecthr','B. v. MALTA','B.','MALTA','2001-05-04',NULL,'b v malta','b','malta');
CREATE TABLE citation_numbers (citation INTEGER NOT NULL REFERENCES citations ON DELETE CASCADE, number TEXT NOT NULL);
INSERT INTO "citation_numbers" VALUES(2,'1/01');
INSERT INTO "citation_numbers" VALUES(4,'2/05');
CREATE TABLE citation_targets (
    citation INTEGER NOT NULL REFERENCES citations ON DELETE CASCADE,
    document_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE, PRIMARY KEY (citation, document_id)) WITHOUT ROWID;
CREATE TABLE citations (
    citation INTEGER PRIMARY KEY, document_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE, words TEXT NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, name TEXT, pinpoint TEXT, date TEXT NOT NULL, meant TEXT);
INSERT INTO "citations" VALUES(1,'151a2234b7d5afea','A. v. AUSTRIA',22,35,'A. v. AUSTRIA',NULL,'','a v austria');
INSERT INTO "citations" VALUES(2,'151a2234b7d5afea','1/01',53,57,NULL,NULL,'',NULL);
INSERT INTO "citations" VALUES(3,'99955228ab6527e5','B. v. MALTA',22,33,'B. v. MALTA',NULL,'','b v malta');
INSERT INTO "citations" VALUES(4,'99955228ab6527e5','2/05',51,55,NULL,NULL,'',NULL);
CREATE TABLE collections (path TEXT PRIMARY KEY, hash TEXT NOT NULL, members TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "collections" VALUES('{folder}/uploads/cases.json','legal 1, 2193367a04ccff4e','[["a", "151a2234b7d5afea", "f941396140911b25", ""], ["b/2", "99955228ab6527e5", "f941396140911b25", ""]]');
CREATE TABLE documents (
    document_id TEXT PRIMARY KEY, kind TEXT NOT NULL, title TEXT NOT NULL, status TEXT NOT NULL,
    error TEXT, warnings TEXT NOT NULL, recipe TEXT NOT NULL, generation INTEGER NOT NULL,
    text TEXT NOT NULL, pages TEXT NOT NULL, raw_offsets TEXT NOT NULL);
INSERT INTO "documents" VALUES('dc596cd2783a8e25','pdf','Bees','ready',NULL,'[]','pdf 3, 180/30',1,'Bees dance to show where the clover is.','[[1, 0, 39]]','[[0, 0]]');
INSERT INTO "documents" VALUES('151a2234b7d5afea','legal','A. v. AUSTRIA','ready',NULL,'[]','legal 1, 180/30, record f941396140911b25',2,'FIRST SECTION
CASE OF A. v. AUSTRIA
(Application no. 1/01)
JUDGMENT
STRASBOURG
4 May 2001
The European Court of Human Rights (First Section), sitting as a Chamber,
PROCEDURE
1. The case originated in an application.
THE FACTS
I. THE CIRCUMSTANCES OF THE CASE
2. The applicant''s mill was closed.
THE LAW
I. ALLEGED VIOLATION OF ARTICLE 8 OF THE CONVENTION
A. Merits
3. Noise at night may disturb a home.
FOR THESE REASONS, THE COURT, UNANIMOUSLY,
Holds that there has been a violation of Article 8.
','[[1, 0, 498]]','[[0, 0]]');
INSERT INTO "documents" VALUES('99955228ab6527e5','legal','B. v. MALTA','ready',NULL,'[]','legal 1, 180/30, record f941396140911b25',3,'FIRST SECTION
CASE OF B. v. MALTA
(Application no. 2/05)
JUDGMENT
STRASBOURG
4 May 2001
The European Court of Human Rights (First Section), sitting as a Chamber,
PROCEDURE
1. The case originated in an application.
THE FACTS
I. THE CIRCUMSTANCES OF THE CASE
2. The forge made noise at night.
THE LAW
I. ALLEGED VIOLATION OF ARTICLE 8 OF THE CONVENTION
A. Merits
3. Noise at night may disturb a home.
FOR THESE REASONS, THE COURT, UNANIMOUSLY,
Holds that there has been a violation of Article 8.
','[[1, 0, 494]]','[[0, 0]]');
INSERT INTO "documents" VALUES('cc064efb87a48eac','pdf','Ships','ready',NULL,'[]','pdf 3, 180/30',4,'The frigate sailed from Lisbon.','[[1, 0, 31]]','[[0, 0]]');
INSERT INTO "documents" VALUES('482d9c806a464254','podcast','talk','ready',NULL,'[]','podcast 1, 180/30, chapters cohesion, sidecars {sidecars}',5,'Welcome to the show about water mills.
The Rill mill was built of larch in 1884.
And how is the rye sifted today?','[[1, 0, 113]]','[[0, 0]]');
CREATE TABLE episodes (
    document_id TEXT PRIMARY KEY REFERENCES documents ON DELETE CASCADE, show TEXT NOT NULL,
    description TEXT NOT NULL, date TEXT NOT NULL, audio TEXT NOT NULL, utterances TEXT NOT NULL,
    chapters TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "episodes" VALUES('482d9c806a464254','','','','{folder}/uploads/talk.mp3','[[0,38,1.0,5.0,"Ada Lind"],[39,80,5.0,11.0,"Bo Aas"],[81,113,600.0,609.0,"Ada Lind"]]','[["The mill",0,81,1.0,600.0,"maker"],["Rye",81,113,600.0,609.0,"maker"]]');
CREATE TABLE findings (document_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE, article TEXT NOT NULL,
    violation INTEGER, spans TEXT NOT NULL);
INSERT INTO "findings" VALUES('151a2234b7d5afea','Article 8',1,'[[446, 496]]');
INSERT INTO "findings" VALUES('99955228ab6527e5','Article 8',1,'[[442, 492]]');
CREATE TABLE footnotes (document_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE, number INTEGER NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, PRIMARY KEY (document_id, start)) WITHOUT ROWID;
CREATE TABLE geometry (
    document_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE, page INTEGER NOT NULL, runs BLOB NOT NULL,
    PRIMARY KEY (document_id, page)) WITHOUT ROWID;
INSERT INTO "geometry" VALUES('cc064efb87a48eac',1,X'789C358BD10D0031084217E2036BD5DC2C8DFBAF715AEF1243041EE71044481842B9718C84075CE00B4AA8401DCB6E226D5B09B306D6EEAB67C281CB3E3F59ED90DF9C99F9024BCC1736');
INSERT INTO "geometry" VALUES('dc596cd2783a8e25',1,X'789C4D8DD1090031084317CA47AC55BB4BE9FE6B9C963B3910491E31EE4D10216108E5C436A655F8800BCCA02CD1367712952B3E92B3587CF1B5EA75D2C90E8FF9EB898249EA8B9C731EA6CD1BD0');
CREATE TABLE links (
    number INTEGER NOT NULL REFERENCES passages ON DELETE CASCADE, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
    document_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE, target INTEGER,
    kind TEXT NOT NULL, words TEXT NOT NULL, PRIMARY KEY (number, start, document_id)) WITHOUT ROWID;
CREATE TABLE names (
    opening INTEGER NOT NULL, document_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE,
    kind TEXT NOT NULL, name TEXT NOT NULL);
INSERT INTO "names" VALUES(-1343138245,'dc596cd2783a8e25','title','Bees');
INSERT INTO "names" VALUES(448170158,'151a2234b7d5afea','title','A. v. AUSTRIA');
INSERT INTO "names" VALUES(1594241265,'151a2234b7d5afea','citation','1/01');
INSERT INTO "names" VALUES(418395895,'99955228ab6527e5','title','B. v. MALTA');
INSERT INTO "names" VALUES(1256086278,'99955228ab6527e5','citation','2/05');
INSERT INTO "names" VALUES(-1476977871,'cc064efb87a48eac','title','Ships');
CREATE TABLE openings (opening INTEGER, number INTEGER, PRIMARY KEY (opening, number)) WITHOUT ROWID;
INSERT INTO "openings" VALUES(-2124361469,2);
INSERT INTO "openings" VALUES(-2124361469,7);
INSERT INTO "openings" VALUES(-2122037875,6);
INSERT INTO "openings" VALUES(-2122037875,11);
INSERT INTO "openings" VALUES(-2115244885,2);
INSERT INTO "openings" VALUES(-2115244885,7);
INSERT INTO "openings" VALUES(-2110124442,5);
INSERT INTO "openings" VALUES(-2110124442,6);
INSERT INTO "openings" VALUES(-2110124442,10);
INSERT INTO "openings" VALUES(-2110124442,11);
INSERT INTO "openings" VALUES(-2065585714,2);
INSERT INTO "openings" VALUES(-2065585714,7);
INSERT INTO "openings" VALUES(-2044767120,13);
INSERT INTO "openings" VALUES(-2013947027,14);
INSERT INTO "openings" VALUES(-2013852436,6);
INSERT INTO "openings" VALUES(-2013852436,11);
INSERT INTO "openings" VALUES(-1989628002,2);
INSERT INTO "openings" VALUES(-1989628002,7);
INSERT INTO "openings" VALUES(-1945414353,5);
INSERT INTO "openings" VALUES(-1945414353,10);
INSERT INTO "openings" VALUES(-1887321158,2);
INSERT INTO "openings" VALUES(-1887321158,7);
INSERT INTO "openings" VALUES(-1851389838,2);
INSERT INTO "openings" VALUES(-1851389838,7);
INSERT INTO "openings" VALUES(-1836893272,6);
INSERT INTO "openings" VALUES(-1836893272,11);
INSERT INTO "openings" VALUES(-1808724993,7);
INSERT INTO "openings" VALUES(-1726122117,4);
INSERT INTO "openings" VALUES(-1640973012,2);
INSERT INTO "openings" VALUES(-1640973012,7);
INSERT INTO "openings" VALUES(-1604300619,12);
INSERT INTO "openings" VALUES(-1551089192,7);
INSERT INTO "openings" VALUES(-1542225447,14);
INSERT INTO "openings" VALUES(-1531180673,2);
INSERT INTO "openings" VALUES(-1531180673,7);
INSERT INTO "openings" VALUES(-1506159251,5);
INSERT INTO "openings" VALUES(-1506159251,10);
INSERT INTO "openings" VALUES(-1484681880,2);
INSERT INTO "openings" VALUES(-1484681880,7);
INSERT INTO "openings" VALUES(-1472172577,5);
INSERT INTO "openings" VALUES(-1472172577,6);
INSERT INTO "openings" VALUES(-1472172577,10);
INSERT INTO "openings" VALUES(-1472172577,11);
INSERT INTO "openings" VALUES(-1461109454,2);
INSERT INTO "openings" VALUES(-1461109454,7);
INSERT INTO "openings" VALUES(-1439150468,13);
INSERT INTO "openings" VALUES(-1436032606,2);
INSERT INTO "openings" VALUES(-1384940817,2);
INSERT INTO "openings" VALUES(-1384940817,7);
INSERT INTO "openings" VALUES(-1343138245,1);
INSERT INTO "openings" VALUES(-1321797141,4);
INSERT INTO "openings" VALUES(-1321797141,9);
INSERT INTO "openings" VALUES(-1276725969,6);
INSERT INTO "openings" VALUES(-1276725969,11);
INSERT INTO "openings" VALUES(-1244285580,3);
INSERT INTO "openings" VALUES(-1244285580,4);
INSERT INTO "openings" VALUES(-1244285580,8);
INSERT INTO "openings" VALUES(-1244285580,9);
INSERT INTO "openings" VALUES(-1211407949,13);
INSERT INTO "openings" VALUES(-1201427699,7);
INSERT INTO "openings" VALUES(-1195375437,5);
INSERT INTO "openings" VALUES(-1195375437,10);
INSERT INTO "openings" VALUES(-1185579551,3);
INSERT INTO "openings" VALUES(-1185579551,8);
INSERT INTO "openings" VALUES(-1175014039,6);
INSERT INTO "openings" VALUES(-1175014039,11);
INSERT INTO "openings" VALUES(-1136300570,2);
INSERT INTO "openings" VALUES(-1136300570,3);
INSERT INTO "openings" VALUES(-1136300570,4);
INSERT INTO "openings" VALUES(-1136300570,5);
INSERT INTO "openings" VALUES(-1136300570,6);
INSERT INTO "openings" VALUES(-1136300570,7);
INSERT INTO "openings" VALUES(-1136300570,8);
INSERT INTO "openings" VALUES(-1136300570,9);
INSERT INTO "openings" VALUES(-1136300570,10);
INSERT INTO "openings" VALUES(-1136300570,11);
INSERT INTO "openings" VALUES(-1136300570,12);
INSERT INTO "openings" VALUES(-1136300570,13);
INSERT INTO "openings" VALUES(-1121680117,4);
INSERT INTO "openings" VALUES(-1121680117,5);
INSERT INTO "openings" VALUES(-1121680117,9);
INSERT INTO "openings" VALUES(-1121680117,10);
INSERT INTO "openings" VALUES(-1019946793,6);
INSERT INTO "openings" VALUES(-1019946793,11);
INSERT INTO "openings" VALUES(-1017518674,2);
INSERT INTO "openings" VALUES(-1017518674,7);
INSERT INTO "openings" VALUES(-879782609,2);
INSERT INTO "openings" VALUES(-879782609,7);
INSERT INTO "openings" VALUES(-813615408,2);
INSERT INTO "openings" VALUES(-813615408,7);
INSERT INTO "openings" VALUES(-803913258,5);
INSERT INTO "openings" VALUES(-803913258,10);
INSERT INTO "openings" VALUES(-753976461,5);
INSERT INTO "openings" VALUES(-753976461,10);
INSERT INTO "openings" VALUES(-687233371,5);
INSERT INTO "openings" VALUES(-687233371,10);
INSERT INTO "openings" VALUES(-494132374,5);
INSERT INTO "openings" VALUES(-494132374,10);
INSERT INTO "openings" VALUES(-486293460,6);
INSERT INTO "openings" VALUES(-486293460,11);
INSERT INTO "openings" VALUES(-481919665,5);
INSERT INTO "openings" VALUES(-481919665,10);
INSERT INTO "openings" VALUES(-475129537,2);
INSERT INTO "openings" VALUES(-475129537,6);
INSERT INTO "openings" VALUES(-475129537,7);
INSERT INTO "openings" VALUES(-475129537,11);
INSERT INTO "openings" VALUES(-404397556,13);
INSERT INTO "openings" VALUES(-393046889,2);
INSERT INTO "openings" VALUES(-366806345,5);
INSERT INTO "openings" VALUES(-366806345,10);
INSERT INTO "openings" VALUES(-133654268,2);
INSERT INTO "openings" VALUES(-133654268,4);
INSERT INTO "openings" VALUES(-133654268,7);
INSERT INTO "openings" VALUES(-133654268,9);
INSERT INTO "openings" VALUES(-80712865,4);
INSERT INTO "openings" VALUES(-80712865,9);
INSERT INTO "openings" VALUES(-17496271,4);
INSERT INTO "openings" VALUES(-17496271,9);
INSERT INTO "openings" VALUES(7089525,5);
INSERT INTO "openings" VALUES(7089525,10);
INSERT INTO "openings" VALUES(89548158,5);
INSERT INTO "openings" VALUES(89548158,10);
INSERT INTO "openings" VALUES(91590821,6);
INSERT INTO "openings" VALUES(91590821,11);
INSERT INTO "openings" VALUES(104071697,2);
INSERT INTO "openings" VALUES(104071697,7);
INSERT INTO "openings" VALUES(168713058,3);
INSERT INTO "openings" VALUES(168713058,8);
INSERT INTO "openings" VALUES(171932907,5);
INSERT INTO "openings" VALUES(171932907,10);
INSERT INTO "openings" VALUES(195945701,2);
INSERT INTO "openings" VALUES(195945701,7);
INSERT INTO "openings" VALUES(309456471,2);
INSERT INTO "openings" VALUES(309456471,7);
INSERT INTO "openings" VALUES(343930957,5);
INSERT INTO "openings" VALUES(343930957,10);
INSERT INTO "openings" VALUES(392083977,6);
INSERT INTO "openings" VALUES(392083977,11);
INSERT INTO "openings" VALUES(418395895,7);
INSERT INTO "openings" VALUES(448170158,2);
INSERT INTO "openings" VALUES(453250203,4);
INSERT INTO "openings" VALUES(453250203,9);
INSERT INTO "openings" VALUES(473742367,3);
INSERT INTO "openings" VALUES(473742367,8);
INSERT INTO "openings" VALUES(532524414,6);
INSERT INTO "openings" VALUES(532524414,11);
INSERT INTO "openings" VALUES(560659127,2);
INSERT INTO "openings" VALUES(592243260,9);
INSERT INTO "openings" VALUES(610000321,2);
INSERT INTO "openings" VALUES(610000321,7);
INSERT INTO "openings" VALUES(627234293,2);
INSERT INTO "openings" VALUES(627234293,7);
INSERT INTO "openings" VALUES(722466053,12);
INSERT INTO "openings" VALUES(960326383,2);
INSERT INTO "openings" VALUES(960326383,7);
INSERT INTO "openings" VALUES(1008866301,1);
INSERT INTO "openings" VALUES(1026823361,5);
INSERT INTO "openings" VALUES(1026823361,10);
INSERT INTO "openings" VALUES(1105743812,5);
INSERT INTO "openings" VALUES(1105743812,10);
INSERT INTO "openings" VALUES(1256086278,7);
INSERT INTO "openings" VALUES(1263313035,4);
INSERT INTO "openings" VALUES(1263313035,9);
INSERT INTO "openings" VALUES(1300058251,4);
INSERT INTO "openings" VALUES(1300058251,9);
INSERT INTO "openings" VALUES(1327332832,7);
INSERT INTO "openings" VALUES(1594241265,2);
INSERT INTO "openings" VALUES(1713004137,13);
INSERT INTO "openings" VALUES(1740260578,5);
INSERT INTO "openings" VALUES(1740260578,10);
INSERT INTO "openings" VALUES(1764654780,5);
INSERT INTO "openings" VALUES(1764654780,10);
INSERT INTO "openings" VALUES(1785795103,2);
INSERT INTO "openings" VALUES(1785795103,7);
INSERT INTO "openings" VALUES(1792384880,4);
INSERT INTO "openings" VALUES(1792384880,9);
INSERT INTO "openings" VALUES(1792541868,2);
INSERT INTO "openings" VALUES(1792541868,7);
INSERT INTO "openings" VALUES(1832811906,2);
INSERT INTO "openings" VALUES(1832811906,7);
INSERT INTO "openings" VALUES(1869941240,6);
INSERT INTO "openings" VALUES(1869941240,11);
INSERT INTO "openings" VALUES(1880495995,2);
INSERT INTO "openings" VALUES(1880495995,7);
INSERT INTO "openings" VALUES(1899360561,4);
INSERT INTO "openings" VALUES(1899360561,9);
INSERT INTO "openings" VALUES(1906615146,2);
INSERT INTO "openings" VALUES(1906615146,7);
INSERT INTO "openings" VALUES(1925165836,5);
INSERT INTO "openings" VALUES(1925165836,10);
INSERT INTO "openings" VALUES(2027391118,4);
INSERT INTO "openings" VALUES(2027391118,9);
INSERT INTO "openings" VALUES(2108266025,5);
INSERT INTO "openings" VALUES(2108266025,10);
INSERT INTO "openings" VALUES(2118435402,6);
INSERT INTO "openings" VALUES(2118435402,11);
INSERT INTO "openings" VALUES(2136269719,2);
CREATE TABLE paragraphs (document_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE, number INTEGER NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, PRIMARY KEY (document_id, start)) WITHOUT ROWID;
INSERT INTO "paragraphs" VALUES('151a2234b7d5afea',1,174,215);
INSERT INTO "paragraphs" VALUES('151a2234b7d5afea',2,259,294);
INSERT INTO "paragraphs" VALUES('151a2234b7d5afea',3,365,402);
INSERT INTO "paragraphs" VALUES('99955228ab6527e5',1,172,213);
INSERT INTO "paragraphs" VALUES('99955228ab6527e5',2,257,290);
INSERT INTO "paragraphs" VALUES('99955228ab6527e5',3,361,398);
CREATE TABLE passages (
    number INTEGER PRIMARY KEY AUTOINCREMENT, passage_id TEXT NOT NULL UNIQUE,
    document_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE, kind TEXT NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, first_page INTEGER NOT NULL, last_page INTEGER NOT NULL,
    text TEXT NOT NULL, label TEXT NOT NULL DEFAULT '', section TEXT NOT NULL DEFAULT '', boxes TEXT NOT NULL DEFAULT '[]', caption TEXT NOT NULL DEFAULT '', context TEXT NOT NULL DEFAULT '', picture TEXT, ocr_confidence REAL, chapter TEXT NOT NULL DEFAULT '', speaker TEXT NOT NULL DEFAULT '', start_seconds REAL, end_seconds REAL, speakers TEXT NOT NULL DEFAULT '[]', part TEXT NOT NULL DEFAULT '', first_paragraph INTEGER, last_paragraph INTEGER);
INSERT INTO "passages" VALUES(1,'dc596cd2783a8e25#0','dc596cd2783a8e25','text',0,39,1,1,'Bees dance to show where the clover is.','','','[[1, [50.0, 717.5, 246.9, 730.4]]]','','',NULL,NULL,'','',NULL,NULL,'[]','',NULL,NULL);
INSERT INTO "passages" VALUES(2,'151a2234b7d5afea#0','151a2234b7d5afea','text',0,163,1,1,'FIRST SECTION
CASE OF A. v. AUSTRIA
(Application no. 1/01)
JUDGMENT
STRASBOURG
4 May 2001
The European Court of Human Rights (First Section), sitting as a Chamber,','','Header','[]','','',NULL,NULL,'','',NULL,NULL,'[]','header',NULL,NULL);
INSERT INTO "passages" VALUES(3,'151a2234b7d5afea#1','151a2234b7d5afea','text',164,215,1,1,'PROCEDURE
1. The case originated in an application.','','PROCEDURE','[]','','',NULL,NULL,'','',NULL,NULL,'[]','procedure',1,1);
INSERT INTO "passages" VALUES(4,'151a2234b7d5afea#2','151a2234b7d5afea','text',216,294,1,1,'THE FACTS
I. THE CIRCUMSTANCES OF THE CASE
2. The applicant''s mill was closed.','','THE FACTS > I. THE CIRCUMSTANCES OF THE CASE','[]','','',NULL,NULL,'','',NULL,NULL,'[]','facts',2,2);
INSERT INTO "passages" VALUES(5,'151a2234b7d5afea#3','151a2234b7d5afea','text',295,402,1,1,'THE LAW
I. ALLEGED VIOLATION OF ARTICLE 8 OF THE CONVENTION
A. Merits
3. Noise at night may disturb a home.','','THE LAW > I. ALLEGED VIOLATION OF ARTICLE 8 OF THE CONVENTION > A. Merits','[]','','',NULL,NULL,'','',NULL,NULL,'[]','law',3,3);
INSERT INTO "passages" VALUES(6,'151a2234b7d5afea#4','151a2234b7d5afea','text',403,497,1,1,'FOR THESE REASONS, THE COURT, UNANIMOUSLY,
Holds that there has been a violation of Article 8.','','Operative part','[]','','',NULL,NULL,'','',NULL,NULL,'[]','operative',NULL,NULL);
INSERT INTO "passages" VALUES(7,'99955228ab6527e5#0','99955228ab6527e5','text',0,161,1,1,'FIRST SECTION
CASE OF B. v. MALTA
(Application no. 2/05)
JUDGMENT
STRASBOURG
4 May 2001
The European Court of Human Rights (First Section), sitting as a Chamber,','','Header','[]','','',NULL,NULL,'','',NULL,NULL,'[]','header',NULL,NULL);
INSERT INTO "passages" VALUES(8,'99955228ab6527e5#1','99955228ab6527e5','text',162,213,1,1,'PROCEDURE
1. The case originated in an application.','','PROCEDURE','[]','','',NULL,NULL,'','',NULL,NULL,'[]','procedure',1,1);
INSERT INTO "passages" VALUES(9,'99955228ab6527e5#2','99955228ab6527e5','text',214,290,1,1,'THE FACTS
I. THE CIRCUMSTANCES OF THE CASE
2. The forge made noise at night.','','THE FACTS > I. THE CIRCUMSTANCES OF THE CASE','[]','','',NULL,NULL,'','',NULL,NULL,'[]','facts',2,2);
INSERT INTO "passages" VALUES(10,'99955228ab6527e5#3','99955228ab6527e5','text',291,398,1,1,'THE LAW
I. ALLEGED VIOLATION OF ARTICLE 8 OF THE CONVENTION
A. Merits
3. Noise at night may disturb a home.','','THE LAW > I. ALLEGED VIOLATION OF ARTICLE 8 OF THE CONVENTION > A. Merits','[]','','',NULL,NULL,'','',NULL,NULL,'[]','law',3,3);
INSERT INTO "passages" VALUES(11,'99955228ab6527e5#4','99955228ab6527e5','text',399,493,1,1,'FOR THESE REASONS, THE COURT, UNANIMOUSLY,
Holds that there has been a violation of Article 8.','','Operative part','[]','','',NULL,NULL,'','',NULL,NULL,'[]','operative',NULL,NULL);
INSERT INTO "passages" VALUES(12,'cc064efb87a48eac#0','cc064efb87a48eac','text',0,31,1,1,'The frigate sailed from Lisbon.','','','[[1, [50.0, 717.5, 197.9, 730.4]]]','','',NULL,NULL,'','',NULL,NULL,'[]','',NULL,NULL);
INSERT INTO "passages" VALUES(13,'482d9c806a464254#0','482d9c806a464254','text',0,80,1,1,'Welcome to the show about water mills.
The Rill mill was built of larch in 1884.','','','[]','','',NULL,NULL,'The mill','Bo Aas',1.0,11.0,'["Bo Aas", "Ada Lind"]','',NULL,NULL);
INSERT INTO "passages" VALUES(14,'482d9c806a464254#1','482d9c806a464254','text',81,113,1,1,'And how is the rye sifted today?','','','[]','','',NULL,NULL,'Rye','Ada Lind',600.0,609.0,'["Ada Lind"]','',NULL,NULL);
CREATE TABLE paths (path TEXT PRIMARY KEY, document_id TEXT NOT NULL REFERENCES documents ON DELETE CASCADE,
    shown TEXT NOT NULL);
INSERT INTO "paths" VALUES('{own}/own.pdf','dc596cd2783a8e25','{own}/own.pdf');
INSERT INTO "paths" VALUES('{folder}/uploads/cases.json#a','151a2234b7d5afea','{folder}/uploads/cases.json#a');
INSERT INTO "paths" VALUES('{folder}/uploads/cases.json#b/2','99955228ab6527e5','{folder}/uploads/cases.json#b/2');
INSERT INTO "paths" VALUES('{folder}/uploads/ships.pdf','cc064efb87a48eac','{folder}/uploads/ships.pdf');
INSERT INTO "paths" VALUES('{folder}/uploads/talk.vtt','482d9c806a464254','{folder}/uploads/talk.vtt');
CREATE TABLE removals (generation INTEGER NOT NULL, document_id TEXT NOT NULL,
    first_number INTEGER NOT NULL, last_number INTEGER NOT NULL);
CREATE TABLE sections (document_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE, kind TEXT NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, author TEXT NOT NULL, PRIMARY KEY (document_id, start))
    WITHOUT ROWID;
INSERT INTO "sections" VALUES('151a2234b7d5afea','header',0,164,'');
INSERT INTO "sections" VALUES('151a2234b7d5afea','procedure',164,216,'');
INSERT INTO "sections" VALUES('151a2234b7d5afea','facts',216,295,'');
INSERT INTO "sections" VALUES('151a2234b7d5afea','law',295,403,'');
INSERT INTO "sections" VALUES('151a2234b7d5afea','operative',403,498,'');
INSERT INTO "sections" VALUES('99955228ab6527e5','header',0,162,'');
INSERT INTO "sections" VALUES('99955228ab6527e5','procedure',162,214,'');
INSERT INTO "sections" VALUES('99955228ab6527e5','facts',214,291,'');
INSERT INTO "sections" VALUES('99955228ab6527e5','law',291,399,'');
INSERT INTO "sections" VALUES('99955228ab6527e5','operative',399,494,'');
CREATE TABLE state (key TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT INTO "state" VALUES('generation',5);
CREATE INDEX passages_of_document ON passages (document_id);
CREATE INDEX paths_of_document ON paths (document_id);
CREATE INDEX names_by_opening ON names (opening);
CREATE INDEX names_of_document ON names (document_id, name);
CREATE INDEX links_to_document ON links (document_id, kind);
CREATE INDEX passages_of_label ON passages (lower(label)) WHERE label <> '';
CREATE INDEX cases_by_name ON cases (name);
CREATE INDEX cases_by_applicant ON cases (applicant_name);
CREATE INDEX numbers_of_case ON case_numbers (document_id);
CREATE INDEX cases_by_number ON case_numbers (number);
CREATE INDEX articles_of_case ON case_articles (document_id);
CREATE INDEX citations_of_case ON citations (document_id, start);
CREATE INDEX citations_by_name ON citations (meant) WHERE meant IS NOT NULL;
CREATE INDEX numbers_of_citation ON citation_numbers (citation);
CREATE INDEX citations_by_number ON citation_numbers (number);
CREATE INDEX citations_of_target ON citation_targets (document_id);
CREATE INDEX findings_of_case ON findings (document_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('passages',14);
COMMIT;
PRAGMA user_version=4;
